package harness

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Setting is the environment that a program is started in.
type Setting struct {
	Hostile      bool     // everything that a starter can leave behind, see Hostile
	Cwd          string   // working directory, the suite's own if empty
	KillAtNotify bool     // the kernel kills the caller of mq_notify(2)
	Output       *Output  // stdout and stderr, if wanted; not in the hostile setting
	Orders       []string // further options for the launcher
}

// Hostile is the setting of every spec about a daemon: files open at low and high numbers, signals ignored and blocked,
// a strict umask, useless variables, supplementary groups if started by root, and a controlling terminal, which is also
// stdin and stdout: a starter's /dev/null there would look like the daemon's own.
func Hostile() Setting {
	return Setting{Hostile: true}
}

// plantedAt are the descriptors of the files; the last is the highest that RLIMIT_NOFILE then allows.
var plantedAt = []int{3, 7, 300, 1023}

var hostileOrders = []string{
	"--ignore", "SIGHUP,SIGINT,SIGCHLD,SIGUSR2,SIGTSTP,SIGRTMIN+3,SIGRTMAX", "--block", "SIGTERM,SIGUSR1,SIGRTMIN+6", "--umask", "077", "--rlimit", "nofile=1024:1024",
	"--env", "PATH=/usr/local/bin:/usr/bin:/bin", "--env", "HOME=/", "--env", "USER=somebody", "--env", "LANG=C.UTF-8",
	"--env", "LC_TIME=C", "--env", "TZ=UTC",
	"--env", "JUNK=left by the starter", "--env", "PATHS=/tmp", "--env", "LC=C", "--env", "IFS=:",
	"--env", "LD_LIBRARY_PATH=/nonexistent", "--env", "no equals sign",
	"--env", "EMPTY=", "--env", strings.Repeat("LONG_NAME_", 20) + "=x", "--env", "LARGE=" + strings.Repeat("x", 100<<10),
}

// hostileFiles stay open in the suite for all hostile starts.
type hostileFiles struct {
	planted  []*os.File
	terminal *os.File
	master   *os.File
}

var hostile = sync.OnceValues(openHostileFiles)

// openHostileFiles opens an unlinked file for each descriptor to plant, and a terminal.
func openHostileFiles() (h hostileFiles, err error) {
	for range plantedAt {
		file, err := os.CreateTemp("", "specs-planted-")
		if err != nil {
			return h, err
		}
		os.Remove(file.Name())
		h.planted = append(h.planted, file)
	}
	h.master, h.terminal, err = OpenTerminal()
	if err == nil {
		go io.Copy(io.Discard, h.master) // a writer must not block for lack of a reader
	}
	return h, err
}

// OpenTerminal makes a pseudo-terminal (pts(4)).
func OpenTerminal() (master, terminal *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	master = os.NewFile(uintptr(fd), "terminal master")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, fmt.Errorf("unlock the terminal: %w", err)
	}
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for the terminal's number: %w", err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, terminal, err
}

// BeyondLimit returns a hostile setting with a file open far above RLIMIT_NOFILE, which the starter has lowered since,
// and its descriptor. A program can find the descriptor, but not by counting up to the limit.
func BeyondLimit() (Setting, int) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		limit.Max = 1024
	}
	at := int(min(limit.Max-2, 100_003)) // Go raises its own limit to one below the hard one
	return Setting{Hostile: true, Orders: []string{"--plant", fmt.Sprintf("3:%d", at), "--rlimit", "nofile=256:256"}}, at
}

// Command returns the command that starts a program in a setting: the launcher, which executes the program.
func (p Programs) Command(s Setting, program string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(p.Launcher, strings.Fields(os.Getenv(OrdersVariable))...)
	if s.Hostile {
		h, err := hostile()
		if err != nil {
			return nil, err
		}
		cmd.Stdin, cmd.Stdout = h.terminal, h.terminal
		cmd.ExtraFiles = append(append(cmd.ExtraFiles, h.planted...), h.terminal)
		cmd.Args = append(cmd.Args, hostileOrders...)
		for i, at := range plantedAt {
			cmd.Args = append(cmd.Args, "--plant", fmt.Sprintf("%d:%d", 3+i, at))
		}
		cmd.Args = append(cmd.Args, "--terminal", fmt.Sprint(3+len(plantedAt)))
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{4, 24, 27}}}
		}
	} else {
		cmd.Args = append(cmd.Args, plainEnvironment()...)
	}
	cmd.Dir = s.Cwd
	if s.KillAtNotify {
		cmd.Args = append(cmd.Args, "--kill-at-notify")
	}
	cmd.Args = append(cmd.Args, s.Orders...)
	absolute, err := filepath.Abs(program)
	cmd.Args = append(append(cmd.Args, "--", absolute), args...)
	return cmd, err
}

// plainEnvironment is the suite's environment without the variables that reveal it.
func plainEnvironment() (orders []string) {
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "SPECS_") {
			continue
		}
		orders = append(orders, "--env", variable)
	}
	return orders
}
