package sysv_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"daemonlab/lab/procfs"
	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
	"daemonlab/lab/tool"
	"daemonlab/specs/inside"
)

// process is a svfiled or svfile.
type process struct {
	*exec.Cmd
	out  io.ReadCloser // its stdout; one that nobody reads holds a client up
	log  string        // the file that gets its stderr
	wait func() error
}

// start starts "server" or "client". It is killed when the spec ends, and before if that takes too long.
func start(program string, args ...string) *process {
	GinkgoHelper()
	stderr := must(os.CreateTemp(GinkgoT().TempDir(), "stderr"))
	defer stderr.Close()
	limited, cancel := context.WithTimeout(context.Background(), 2*inside.Patience)
	p := &process{Cmd: exec.CommandContext(limited, filepath.Join(inside.Place(), program), args...), log: stderr.Name()}
	p.Stderr, p.wait = stderr, sync.OnceValue(p.Wait)
	p.out = must(p.StdoutPipe())
	Expect(p.Start()).To(Succeed())
	DeferCleanup(func() {
		cancel()
		p.wait()
	})
	return p
}

// said is what the program has written to stderr.
func (p *process) said() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

func (p *process) signal(sig os.Signal) {
	GinkgoHelper()
	Expect(p.Process.Signal(sig)).To(Succeed())
}

// end reads the program's stdout, and waits for its end. The status of one that a signal ended is 128 and its number.
func (p *process) end() (status int, stdout string) {
	all, _ := io.ReadAll(p.out)
	p.wait()
	return tool.ExitStatus(p.ProcessState), string(all)
}

// mustEnd proves with what status the program ends, and what it has said then.
func (p *process) mustEnd(code int, said OmegaMatcher) {
	GinkgoHelper()
	status, _ := p.end()
	Expect(p.said()).To(said)
	Expect(status).To(Equal(code))
}

// mustFetch proves that a client has fetched this, in as few messages as may be.
func (p *process) mustFetch(want string) {
	GinkgoHelper()
	status, got := p.end()
	Expect(got == want).To(BeTrue(), "%d bytes came of %d; status %d: %s", len(got), len(want), status, p.said())
	Expect(p.said()).To(Equal(fmt.Sprintf("Received %d bytes (%d messages)\n", len(want), (len(want)+piece()-1)/piece())))
	Expect(status).To(BeZero())
}

// piece is what goes into a message to a new queue.
func piece() int {
	GinkgoHelper()
	const msgMax = 8192
	return wire.PieceSize(status(newSysV()).MaxBytes, msgMax)
}

// server is a svfiled that is ready.
type server struct {
	*process
	key   sysv.Key
	root  string
	queue sysv.Queue
}

func startServer(more ...string) *server {
	GinkgoHelper()
	return startServerAt(newKey(), newRoot(), more...)
}

// newRoot is a directory with the files "large" and "small".
func newRoot() string {
	GinkgoHelper()
	root := filepath.Join(GinkgoT().TempDir(), "root")
	Expect(os.Mkdir(root, 0o755)).To(Succeed())
	for name, content := range map[string]string{"large": large, "small": small} {
		Expect(os.WriteFile(filepath.Join(root, name), []byte(content), 0o644)).To(Succeed())
	}
	return root
}

func startServerAt(key sysv.Key, root string, more ...string) *server {
	GinkgoHelper()
	// The queue goes after the process that serves it, so that its children end, too.
	DeferCleanup(func() {
		if q, err := sysv.Get(key, 0, 0); err == nil {
			remove(q)
		}
	})
	s := &server{start("server", append([]string{"--root", root, "--key", key.String()}, more...)...), key, root, 0}
	line := must(bufio.NewReader(s.out).ReadString('\n'))
	s.queue = must(sysv.Get(key, 0, 0))
	Expect(line).To(Equal(fmt.Sprintf("svfiled: PID %d serves %s on queue %d\n", s.Process.Pid, root, s.queue)), s.said)
	return s
}

// children are the server's, zombies among them.
func (s *server) children() ([]procfs.Stat, error) {
	return procfs.New("/proc").Children(s.Process.Pid)
}

func (s *server) client(path string) *process {
	GinkgoHelper()
	return start("client", "--key", s.key.String(), "--", path)
}

// waitingClient is one whose request waits, as the nth, in the server's queue.
func (s *server) waitingClient(path string, nth int) *process {
	GinkgoHelper()
	client := s.client(path)
	Eventually(s.queue.Status).Should(HaveField("Messages", nth), client.said)
	return client
}

// ask sends a request that names any queue.
func (s *server) ask(q sysv.Queue, path string) {
	GinkgoHelper()
	s.send(wire.RequestType, string(must(wire.Request{Queue: q, Path: path}.Message())))
}

// send sends anything. A server that does not empty its queue loses it at last.
func (s *server) send(mtype int, message string) {
	GinkgoHelper()
	defer time.AfterFunc(inside.Patience, func() { s.queue.Remove() }).Stop()
	Expect(s.queue.Send(mtype, []byte(message), 0)).To(Succeed())
}

// mustServe proves that the server goes on, and that it has no other child or request left.
func (s *server) mustServe() {
	GinkgoHelper()
	s.client("small").mustFetch(small)
	Eventually(s.children).Should(BeEmpty(), "children, zombies among them")
	Expect(status(s.queue).Messages).To(BeZero())
}

// midTransfer is a server with a svfile that has a part of a large file, of which nobody reads more, and its queue.
func midTransfer(more ...string) (s *server, client *process, q sysv.Queue) {
	GinkgoHelper()
	s = startServer(more...)
	client = s.client("large")
	Eventually(func() bool {
		for _, status := range must(sysv.Queues()) {
			_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", client.Process.Pid, status.LastReceiver))
			if err == nil {
				q = status.ID
				return true
			}
		}
		return false
	}).Should(BeTrue(), client.said)
	return s, client, q
}
