package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
	"daemonlab/lab/tool"
	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// Place is a server's own directory and queue name.
type Place struct {
	Dir     string // removed at the end
	Root    string // the served directory
	Queue   string
	PIDFile string
	Log     string
}

// NewPlace makes the directory. Everybody may write to the log's directory: after a rotation the daemon's account must
// be able to create a new log file.
func NewPlace() (Place, error) {
	dir, err := os.MkdirTemp("", "specs-")
	if err != nil {
		return Place{}, err
	}
	p := Place{
		Dir: dir, Root: filepath.Join(dir, "root"), Queue: QueueName("request"),
		PIDFile: filepath.Join(dir, "run", "mqfiled.pid"), Log: filepath.Join(dir, "log", "mqfiled.log"),
	}
	return p, errors.Join(os.Chmod(dir, 0o755), makeDir(p.Root, 0o755), makeDir(filepath.Dir(p.PIDFile), 0o755),
		makeDir(filepath.Dir(p.Log), 0o777))
}

func makeDir(path string, mode os.FileMode) error {
	return errors.Join(os.Mkdir(path, mode), os.Chmod(path, mode))
}

// Remove removes queue and directory.
func (p Place) Remove() {
	mq.Unlink(p.Queue)
	os.RemoveAll(p.Dir)
}

// WriteFile writes a world-readable file below the root.
func (p Place) WriteFile(name string, content []byte) error {
	path := filepath.Join(p.Root, name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644), os.Chmod(path, 0o644))
}

// WriteHole makes a sparse file below the root: all bytes are 0, none are on disk.
func (p Place) WriteHole(name string, size int64) error {
	return errors.Join(p.WriteFile(name, nil), os.Truncate(filepath.Join(p.Root, name), size))
}

// Args returns the flags that make a server use the place.
func (p Place) Args() []string {
	return []string{"--root", p.Root, "--queue", p.Queue, "--pidfile", p.PIDFile, "--log", p.Log}
}

// Start is one run of a server's original process.
type Start struct {
	Args    []string
	Exit    int // status, 128 plus the signal if one ended it, -1 if it had to be killed
	Stderr  string
	Session int // that it was started in
	PID     int
	Files   []procfs.FileID // that it was started with
}

// ErrHangs means that the original process did not return.
var ErrHangs = errors.New("the original process did not return")

// Run starts a program in a setting and waits for the original process. A start that fails with EMFILE is repeated once
// there is room for a request queue: rows judged in parallel may have used up RLIMIT_MSGQUEUE.
func (p Programs) Run(ctx context.Context, s Setting, program string, args ...string) (Start, error) {
	const starts = 3
	for n := 1; ; n++ {
		start, err := p.runOnce(ctx, s, program, args...)
		if err != nil || !start.saysEMFILE() || n == starts {
			return start, err
		}
		if q, err := makeQueue(QueueName("room"), &mq.Attr{MaxMsg: 10, MsgSize: wire.RequestSize}); err == nil {
			mq.Unlink(q.Name())
			q.Close()
		}
	}
}

func (s Start) saysEMFILE() bool {
	return s.Exit != 0 && strings.Contains(strings.ToLower(s.Stderr), unix.EMFILE.Error())
}

func (p Programs) runOnce(ctx context.Context, s Setting, program string, args ...string) (Start, error) {
	cmd, err := p.Command(s, program, args...)
	if err != nil {
		return Start{}, suiteFailed(err)
	}
	failures, err := newErrorPipe()
	if err != nil {
		return Start{}, suiteFailed(err)
	}
	defer failures.close()
	cmd.Args = slices.Insert(cmd.Args, 1, "--failures", fmt.Sprint(3+len(cmd.ExtraFiles)))
	cmd.ExtraFiles = append(cmd.ExtraFiles, failures.writer)
	stderr, err := newErrorPipe()
	if err != nil {
		return Start{}, suiteFailed(err)
	}
	cmd.Stderr = stderr.writer
	if s.Output != nil {
		cmd.Stdout, cmd.Stderr = s.Output.writer, s.Output.writer
	}
	files, err := filesOf(cmd)
	if err != nil {
		stderr.close()
		return Start{}, suiteFailed(err)
	}
	if err := startOwn(cmd); err != nil {
		stderr.close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) { // perhaps used up by the program's leftovers
			return Start{}, err
		}
		return Start{}, suiteFailed(err)
	}
	session, _ := unix.Getsid(0)
	if s.Hostile {
		session = cmd.Process.Pid // the launcher makes one for the terminal
	}
	err = waitWithin(ctx, cmd)
	start := Start{Args: args, Exit: tool.ExitStatus(cmd.ProcessState), Stderr: strings.ToValidUTF8(stderr.text(), "?"), Session: session, PID: cmd.Process.Pid, Files: files}
	if failure := failures.text(); failure != "" {
		err = fmt.Errorf("%w: %s", ErrSuite, failure)
		if _, gone := os.Stat(program); gone != nil {
			err = finding.Failed(gone, "the program's file is gone: %v", gone)
		} else if errno := refused(failure); errno != 0 {
			err = finding.Failed(errno, "execve(2) of the program: %v. It was built for another machine, or its "+
				"first line names a missing interpreter; a CR at the end of that line is part of the name", errno)
		}
	}
	return start, err
}

// refused returns why the kernel will not execute an existing program, 0 if the launcher failed at something else.
func refused(said string) unix.Errno {
	for _, errno := range []unix.Errno{unix.ENOENT, unix.ENOEXEC} {
		if strings.HasPrefix(said, "launch: exec ") && strings.HasSuffix(said, errno.Error()+"\n") {
			return errno
		}
	}
	return 0
}

// filesOf returns the files that a command starts with.
func filesOf(cmd *exec.Cmd) (ids []procfs.FileID, err error) {
	files := slices.Clone(cmd.ExtraFiles)
	for _, standard := range []any{cmd.Stdin, cmd.Stdout, cmd.Stderr} {
		if file, ok := standard.(*os.File); ok {
			files = append(files, file)
		}
	}
	for _, file := range files {
		var st unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &st); err != nil {
			return nil, &os.PathError{Op: "fstat", Path: file.Name(), Err: err}
		}
		ids = append(ids, procfs.FileID{Dev: st.Dev, Ino: st.Ino})
	}
	return ids, nil
}

// ErrSuite means that the suite itself failed: no program is to blame.
var ErrSuite = errors.New("the suite could not start the program")

func suiteFailed(err error) error { return fmt.Errorf("%w: %w", ErrSuite, err) }

// waitWithin waits for the original process, for at most [Patience] if it loops or sleeps.
func waitWithin(ctx context.Context, cmd *exec.Cmd) error {
	const most = 4 // times Patience, if it is held up
	begin := time.Now()
	done := make(chan struct{})
	go func() {
		waitForOwn(cmd)
		close(done)
	}()
	for n := 1; ; n++ {
		limited, cancel := WithTimeout(ctx, Patience)
		select {
		case <-done:
			cancel()
			return nil
		case <-limited.Done():
			cancel()
		}
		if doing, heldUp := whatItDoes(cmd.Process.Pid); !heldUp || n == most || ctx.Err() != nil {
			cmd.Process.Kill()
			<-done
			return finding.Failed(ErrHangs, "the original process did not return within %v: %v",
				time.Since(begin).Round(time.Millisecond), doing)
		}
	}
}

// whatItDoes says whether a start that does not end is running, and in which process, or waiting. It is held up if one
// of its processes waits for a disk, or is runnable and has used less CPU time than a loop would have by now.
func whatItDoes(original int) (doing rubric.Text, heldUp bool) {
	itself, _ := proc.Process(original).Stat()
	children, _ := proc.Children(original)
	orphans, _, _ := adopted()
	busiest := procfs.Stat{}
	for _, s := range slices.Concat(children, orphans, []procfs.Stat{itself}) {
		heldUp = heldUp || s.State == 'D'
		if s.State == 'R' && s.UserTime+s.SysTime >= busiest.UserTime+busiest.SysTime {
			busiest = s
		}
	}
	const (
		ticks = 100         // per second, see sysconf(3)
		loop  = time.Second // CPU time
	)
	used := time.Duration(busiest.UserTime+busiest.SysTime) * time.Second / ticks
	switch {
	case busiest.Pid == 0 || heldUp:
		in, _ := os.ReadFile(proc.Process(original).Path("wchan")) // kernel function it sleeps in, see proc(5)
		switch {
		case strings.Contains(string(in), "do_wait") && len(children) > 0:
			return finding.Say("it is waiting in wait(2) for its child, PID %d, to end", children[0].Pid), heldUp
		case strings.Contains(string(in), "pipe_read"):
			return finding.Say("it is reading from a pipe that somebody holds open for writing but nobody writes to"),
				heldUp
		}
		return finding.Say("it is waiting"), heldUp
	case used < loop:
		return finding.Say("PID %d is runnable and has used %v of CPU time so far", busiest.Pid, used), true
	case busiest.Pid == original:
		return finding.Say("it is in an endless loop, %v of CPU time so far", used), false
	default:
		return finding.Say("it is waiting for PID %d, which is in an endless loop, %v of CPU time so far", busiest.Pid,
			used), false
	}
}

// Server is a running daemon.
type Server struct {
	Place
	Start   Start
	Setting Setting
	PID     int
	Process procfs.Process
	program string
	toEnd   bool // it was asked to end
	handle  *pidfd.Process
	ended   context.Context // done once the daemon has ended
}

// daemons are the running servers, by queue name.
var daemons sync.Map

// ErrNoDaemon means that a start returned 0 and left no process.
var ErrNoDaemon = errors.New("the start returned 0 but no daemon is running")

// StartServer starts a server at a place, with extra flags, and finds its daemon.
func (p Programs) StartServer(ctx context.Context, place Place, s Setting, more ...string) (*Server, error) {
	return p.StartServerBy(ctx, place, s, append(place.Args(), more...)...)
}

// StartServerBy starts a server with flags that name a place, and finds its daemon.
func (p Programs) StartServerBy(ctx context.Context, place Place, s Setting, args ...string) (*Server, error) {
	start, err := p.Run(ctx, s, p.Server, args...)
	if err != nil {
		return nil, finding.Failed(err, "%v; %v", err, start.said())
	}
	if start.Exit != 0 {
		_, ended, _ := adopted()
		how, by := endingOfLast(ended, p.Server)
		if by == 0 { // if the daemon exited, the original has reported why
			how = rubric.Text{}
		}
		err := errNotStarted
		if by != 0 || start.Exit > 128 {
			err = ErrCrashed
		}
		return nil, finding.Failed(err, "%v%v; %v", start.ended(p.Server), how, start.said())
	}
	pid, err := place.findDaemon(p.Server)
	if err != nil {
		return nil, finding.Failed(err, "%v; %v", err, start.said())
	}
	handle, err := pidfd.Open(pid)
	if err != nil {
		return nil, finding.Failed(err, "the daemon died at once")
	}
	ended, end := context.WithCancel(context.Background())
	go func() {
		handle.Wait(context.Background()) // returns at Close at the latest
		end()
	}()
	server := &Server{Place: place, Start: start, Setting: s, PID: pid, Process: proc.Process(pid), program: p.Server, handle: handle, ended: ended}
	daemons.Store(place.Queue, server)
	return server, nil
}

// ErrHungUp means that SIGHUP ended the daemon when the original, the session leader in the hostile setting, exited.
var ErrHungUp = errors.New("the daemon was killed by SIGHUP")

var errNotStarted = errors.New("the start failed")

// ErrCrashed means that a signal ended a process of a start.
var ErrCrashed = errors.New("the start crashed")

func (s Start) said() rubric.Text {
	if s.Stderr == "" {
		return finding.Say("nothing on stderr")
	}
	if s.saysEMFILE() {
		return finding.Say("stderr: %.500q: it is out of descriptors, or this user's queues have reached "+
			"RLIMIT_MSGQUEUE: see ls /dev/mqueue", s.Stderr)
	}
	return finding.Same("stderr: %.500q", s.Stderr)
}

// ended describes how the original process ended.
func (s Start) ended(program string) rubric.Text {
	if s.Exit > 128 {
		sig := unix.Signal(s.Exit - 128)
		how := finding.Say("the original process ended: signal %d, %s", sig, unix.SignalName(sig))
		if line := crashLine(s.PID, program); line != "" {
			how = finding.Say("%s, in %s", how, line)
		}
		return how
	}
	return finding.Say("the original process returned %d", s.Exit)
}

// findDaemon picks the daemon among the processes that the start has left: the one registered for notification, else
// the one named by the PID file, else the last of the line.
func (p Place) findDaemon(program string) (int, error) {
	left, ended, err := adopted()
	if err != nil {
		return 0, err
	}
	if len(left) == 0 {
		how, by := endingOfLast(ended, program)
		err := ErrNoDaemon
		switch by {
		case 0:
		case unix.SIGHUP:
			err = ErrHungUp
		default:
			err = errors.Join(err, ErrCrashed)
		}
		return 0, finding.Failed(err, "the start returned 0 but no daemon is running%v", how)
	}
	candidates := []int{left[len(left)-1].Pid}
	if content, err := os.ReadFile(p.PIDFile); err == nil {
		var pid int
		fmt.Sscan(strings.TrimSpace(string(content)), &pid)
		candidates = append(candidates, pid)
	}
	if status, _, err := QueueStatus(p.Queue); err == nil {
		candidates = append(candidates, status.NotifyPID)
	}
	for _, pid := range slices.Backward(candidates[1:]) {
		if slices.ContainsFunc(left, func(s procfs.Stat) bool { return s.Pid == pid }) {
			return pid, nil
		}
	}
	return candidates[0], nil
}

// Signal sends a signal to the daemon.
func (s *Server) Signal(sig unix.Signal) error {
	s.toEnd = s.toEnd || sig == unix.SIGTERM || sig == unix.SIGKILL
	return s.handle.Signal(sig)
}

// Stop sends SIGSTOP and returns once every thread of the daemon has stopped.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	ctx, cancel := WithTimeout(ctx, Slack)
	defer cancel()
	for {
		tasks, err := s.Process.Tasks()
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if !slices.ContainsFunc(tasks, func(t procfs.Status) bool { return t.State != 'T' && !t.State.Ended() }) {
			return nil
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// FavourMain lowers the priority of all threads of the daemon except the main one, so that the main one runs first.
func (s *Server) FavourMain() error {
	tasks, err := s.Process.Tasks()
	for _, t := range tasks {
		if t.Pid != s.PID {
			unix.Setpriority(unix.PRIO_PROCESS, t.Pid, 19) // a thread may have ended
		}
	}
	return err
}

func (s *Server) Continue() {
	s.Signal(unix.SIGCONT)
}

// Sleeps reports whether the daemon is alive and none of its threads runs or waits for a disk.
func (s *Server) Sleeps() bool {
	return s.Alive() && !s.hasThread(func(state procfs.State) bool { return state != 'S' && !state.Ended() })
}

func (s *Server) hasThread(that func(procfs.State) bool) bool {
	tasks, _ := s.Process.Tasks()
	return slices.ContainsFunc(tasks, func(t procfs.Status) bool { return that(t.State) })
}

// waitForDisk reports whether a daemon, or a child of the suite, waits for a disk.
func waitForDisk() (waits bool) {
	const state = 'D' // uninterruptible, see proc(5)
	own.Lock()
	pids := slices.Collect(maps.Keys(own.pids))
	own.Unlock()
	waits = slices.ContainsFunc(pids, func(pid int) bool {
		stat, _ := proc.Process(pid).Stat()
		return stat.State == state
	})
	daemons.Range(func(_, daemon any) bool {
		waits = waits || daemon.(*Server).hasThread(func(s procfs.State) bool { return s == state })
		return !waits
	})
	return waits
}

// WaitForEnd waits for the daemon to end, reaps it and returns its wait status.
func (s *Server) WaitForEnd(ctx context.Context) (unix.WaitStatus, error) {
	select {
	case <-s.ended.Done():
		status, err := wait4(s.PID, 0)
		if err == unix.ECHILD { // not adopted: the child of another process that remains
			err = nil
		}
		return status, os.NewSyscallError("wait4", err)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Alive reports whether the daemon still runs.
func (s *Server) Alive() bool {
	ended, err := s.Process.Ended()
	return err == nil && !ended
}

// Close releases the handle; the daemon itself is left to [KillAdopted].
func (s *Server) Close() {
	if s.handle != nil {
		daemons.CompareAndDelete(s.Queue, s)
		s.handle.Close()
	}
}

// OpenFiles counts the daemon's descriptors.
func (s *Server) OpenFiles() (int, error) {
	fds, err := s.Process.Descriptors()
	return len(fds), err
}
