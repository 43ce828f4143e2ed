package main

import (
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/specs/harness"
)

// orphans are the queues that killed clients have left. Nobody else removes them; the last few stay, so that the others
// run with less room.
type orphans struct {
	mu    sync.Mutex
	names []string
}

const keptOrphans = 3

// kill ends a client by SIGKILL. It is stopped first, so that the queues it has made can be read from its descriptors.
func (o *orphans) kill(c *harness.Running, l *ledger) {
	c.Signal(unix.SIGSTOP)
	// The client has stopped when all its threads have (waitid(2)), which /proc shows of each alone.
	for unix.Waitid(unix.P_PID, c.PID, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	process := procfs.New("/proc").Process(c.PID)
	entries, _ := os.ReadDir(process.Path("fd"))
	for _, entry := range entries {
		name, _ := os.Readlink(process.Path("fd/" + entry.Name()))
		if strings.HasPrefix(name, "/mqfile-") && !strings.HasSuffix(name, " (deleted)") {
			o.add(name, l)
		}
	}
	c.Signal(unix.SIGKILL)
	l.count("client programs killed by SIGKILL")
}

func (o *orphans) add(name string, l *ledger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.names = append(o.names, name)
	l.count("queues left by killed clients")
	for len(o.names) > keptOrphans {
		o.remove(l)
	}
}

func (o *orphans) removeAll(l *ledger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.names) > 0 {
		o.remove(l)
	}
}

func (o *orphans) remove(l *ledger) {
	if err := mq.Unlink(o.names[0]); err != nil {
		l.lose("what a killed client left: %v", err)
	}
	o.names = o.names[1:]
}
