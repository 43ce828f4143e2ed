package cage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/harness"
)

// initName is the name that a cage's first process is called by.
const initName = "daemonlab-cage"

// The descriptors that it gets.
const (
	lifeFD = 3 + iota
	reportFD
	filesFD
	resultFD
	firstTool
)

// orders are what the first process is to do.
type orders struct {
	Job
	Root   string // directory to mount the cage's file systems on
	UID    int    // of the cage's first user
	Mapped bool   // there are others
	Shares []Share
}

// result is what it reports.
type result struct {
	Exit     int
	Error    string
	TooLarge bool // the error is ErrTooLarge
}

// Init is to be called first in every program that makes cages: their first process is another execution of the
// program, and for that it does not return.
func Init() {
	if os.Args[0] != initName {
		return
	}
	// Capabilities, no_new_privs and limits are passed on by the thread that forks.
	runtime.LockOSThread()
	unix.CloseRange(lifeFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	// From inside, the first process of a PID namespace gets no signal that it has no handler for, SIGKILL among them.
	harness.WithstandSignals()
	var o orders
	life := json.NewDecoder(os.NewFile(lifeFD, "life"))
	if err := life.Decode(&o); err != nil {
		os.Exit(1)
	}
	go func() {
		life.Decode(new(orders)) // the grader has ended
		os.Exit(1)
	}()
	exit, err := o.run()
	r := result{Exit: exit, TooLarge: errors.Is(err, ErrTooLarge)}
	if err != nil {
		r.Error = err.Error()
	}
	json.NewEncoder(os.NewFile(reportFD, "report")).Encode(r)
	syscall.Exit(0) // without os.Exit's hooks: the race detector's would sleep for a second
}

func (o orders) run() (exit int, err error) {
	if err := o.build(); err != nil {
		return 0, err
	}
	if err := o.limit(); err != nil {
		return 0, err
	}
	if err := unpack(os.NewFile(filesFD, "files"), inSubmission); err != nil {
		return 0, err
	}
	if o.Fixed {
		if err := fix(inSubmission); err != nil {
			return 0, err
		}
	}
	if exit, err = o.command(); err != nil {
		return 0, err
	}
	killAll()
	if o.Result != "" {
		err = pack(os.NewFile(resultFD, "result"), inSubmission)
	}
	return exit, err
}

// command runs the command. The untrusted one is confined by the launcher, which it names itself.
func (o orders) command() (int, error) {
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	cmd.Dir, cmd.Env = inSubmission, o.Env
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !o.Mapped {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
			return 0, fmt.Errorf("prctl PR_CAP_AMBIENT_CLEAR_ALL: %w", err)
		}
		if o.Trusted {
			cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_PTRACE}
		}
	}
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		return 0, err
	}
	return tool.ExitStatus(cmd.ProcessState), nil
}

// killAll ends every other process of the cage.
func killAll() {
	for {
		unix.Kill(-1, unix.SIGKILL)
		if _, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD {
			return
		}
	}
}

const (
	maxProcesses = 512     // and threads of each user of a submission
	maxData      = 4 << 30 // bytes of memory of each of its processes: 256 stacks of 8 MiB are 2 GiB

	maxProcessesInAll = 2048
	maxMemoryInAll    = 3 << 30
	maxFile           = 16 << 30  // with its holes, as the specs have; what it takes is limited by maxFiles
	maxFiles          = 256 << 20 // bytes of all files of a submission
	maxOpen           = 4096
	maxSeconds        = 600 // of processor time of each process
)

// limit sets what holds for every process of the cage. What the submission may take is less by the orders of [Confine],
// so that the judge's processes still start when it has taken all of it.
func (o orders) limit() error {
	for resource, value := range map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: maxFile, unix.RLIMIT_NOFILE: maxOpen, unix.RLIMIT_CPU: maxSeconds,
		unix.RLIMIT_NPROC: maxProcessesInAll,
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("getrlimit %d: %w", resource, err)
		}
		value = min(value, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("setrlimit %d: %w", resource, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return nil
}
