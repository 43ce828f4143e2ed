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

// initName is argv[0] of a cage's first process.
const initName = "daemonlab-cage"

// Descriptors passed to it.
const (
	lifeFD = 3 + iota
	reportFD
	filesFD
	resultFD
	firstTool
)

// orders tell the first process what to do.
type orders struct {
	Job
	Root   string // mount point of the cage's root
	UID    int    // of the cage's first user
	Mapped bool   // the cage has more users
	Shares []Share
}

// result is the report of the first process.
type result struct {
	Exit     int
	Error    string
	TooLarge bool // the error is ErrTooLarge
}

// Init must be called first in every program that makes cages: a cage's first process executes the program again, and
// there Init does not return.
func Init() {
	if os.Args[0] != initName {
		return
	}
	// Children inherit capabilities, no_new_privs and limits from the thread that forks.
	runtime.LockOSThread()
	unix.CloseRange(lifeFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	// Inside its PID namespace the first process gets only signals that it handles, and never SIGKILL.
	harness.WithstandSignals()
	var o orders
	life := json.NewDecoder(os.NewFile(lifeFD, "life"))
	if err := life.Decode(&o); err != nil {
		os.Exit(1)
	}
	go func() {
		life.Decode(new(orders)) // EOF: the grader has ended
		os.Exit(1)
	}()
	exit, err := o.run()
	r := result{Exit: exit, TooLarge: errors.Is(err, ErrTooLarge)}
	if err != nil {
		r.Error = err.Error()
	}
	json.NewEncoder(os.NewFile(reportFD, "report")).Encode(r)
	syscall.Exit(0) // os.Exit would run hooks; the race detector's sleeps for a second
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

// command runs the command. An untrusted one names the launcher, which confines it.
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

// killAll kills every other process of the cage.
func killAll() {
	for {
		unix.Kill(-1, unix.SIGKILL)
		if _, err := unix.Wait4(-1, nil, 0, nil); err == unix.ECHILD {
			return
		}
	}
}

const (
	maxProcesses = 512     // and threads, per user of a submission
	maxData      = 4 << 30 // bytes per process: 256 stacks of 8 MiB are 2 GiB

	maxProcessesInAll = 2048
	maxMemoryInAll    = 3 << 30
	maxFile           = 16 << 30  // apparent size: the specs use sparse files; disk use is limited by maxFiles
	maxFiles          = 256 << 20 // bytes in all files of a submission
	maxOpen           = 4096
	maxSeconds        = 600 // CPU time per process

	// noCore is less than any core file has. With 0 the kernel would still start the program that core_pattern may name,
	// outside the cage and as root; 1 is its mark for no dump at all (do_coredump in fs/coredump.c).
	noCore = 1
)

// limit sets the limits of every process in the cage. [Confine] sets lower ones for the submission, so the judge's
// processes can still start when it has used up its own.
func (o orders) limit() error {
	for resource, value := range map[int]uint64{
		unix.RLIMIT_CORE: noCore, unix.RLIMIT_FSIZE: maxFile, unix.RLIMIT_NOFILE: maxOpen, unix.RLIMIT_CPU: maxSeconds,
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
