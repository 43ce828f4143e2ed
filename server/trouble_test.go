package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
	"daemonlab/specs/harness"
)

// One test for each line of doc.go's table that the specs, which know only the contract, do not show.

// mustServe checks that the next request is served.
func mustServe(t *testing.T, s *harness.Server) {
	t.Helper()
	must(t, s.WriteFile("next", []byte("next")))
	if e := fetch(t, s, "next"); string(e.Content) != "next" {
		t.Error("the next request:", e.Summary())
	}
}

// mustHoldNothing waits until the server has neither a reply queue nor a served file open.
func mustHoldNothing(t *testing.T, s *harness.Server) {
	t.Helper()
	eventually(t, "everything is freed", func() bool {
		fds, err := s.Process.Descriptors()
		must(t, err)
		for _, fd := range fds {
			if strings.HasPrefix(fd.Target, "/spec-reply-") || strings.HasPrefix(fd.Target, s.Root+"/") {
				return false
			}
		}
		return true
	})
}

func mustLog(t *testing.T, s *harness.Server, text string) {
	t.Helper()
	eventually(t, "the log says "+text, func() bool {
		log, err := os.ReadFile(s.Log)
		return err == nil && strings.Contains(string(log), text)
	})
}

func TestAFatalSignalIsInTheLog(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		s := start(t, place(t))
		if rotated {
			must(t, os.Rename(s.Log, s.Log+".1"))
			must(t, s.Signal(unix.SIGHUP))
			mustLog(t, s, "log reopened")
		}
		must(t, s.Signal(unix.SIGSEGV))
		_, err := s.WaitForEnd(t.Context())
		must(t, err)
		mustLog(t, s, "SIGSEGV")
		mustLog(t, s, "goroutine ")
	}
}

func TestClientsThatDieAtAnyPoint(t *testing.T) {
	s := start(t, place(t), "--stall", "1")
	must(t, s.WriteFile("large", make([]byte, 256<<10)))
	for taken := range 16 {
		victim := exec.Command("sleep", "1000")
		must(t, victim.Start())
		c := client(t, harness.Shape{Depth: 2, MsgSize: 4096})
		c.PID = int32(victim.Process.Pid)
		if taken == 0 { // before the server reads the request
			victim.Process.Kill()
			victim.Wait()
		}
		must(t, c.Request(t.Context(), s.Queue, "large"))
		for range taken {
			_, err := c.Next(t.Context())
			must(t, err)
		}
		victim.Process.Kill()
		victim.Wait()
		mustServe(t, s)
	}
	mustHoldNothing(t, s)
}

func TestAServerThatWasStoppedCutsNoTransfer(t *testing.T) {
	const stall = 2 * time.Second
	began := time.Now()
	s := start(t, place(t), "--stall", "2")
	content := bytes.Repeat([]byte("x"), 256<<10)
	must(t, s.WriteFile("large", content))
	c := inMidTransfer(t, s, "large")
	eventually(t, "the server waits for room", c.IsFull)
	must(t, s.Stop(t.Context()))
	if took := time.Since(began); took >= stall {
		t.Skipf("this machine is too slow: %v until the server had stopped", took)
	}
	taken, err := c.Next(t.Context())
	must(t, err)
	time.Sleep(stall * 11 / 10) // The time of --stall passes; a stopped process has no event to wait for.
	must(t, s.Signal(unix.SIGCONT))
	e, err := c.Finish(t.Context(), "large")
	must(t, err)
	if n := 4096 + len(taken.Body) + len(e.Content); n != len(content) {
		t.Errorf("%d bytes of %d came: %s", n, len(content), e.Summary())
	}
}

func TestTwoRequestsOfOneNameAreBothAnswered(t *testing.T) {
	s := start(t, place(t))
	content := bytes.Repeat([]byte("x"), 64<<10)
	must(t, s.WriteFile("large", content))
	c := client(t, harness.Shape{Depth: 2, MsgSize: 4096})
	must(t, c.Request(t.Context(), s.Queue, "large"))
	must(t, c.Request(t.Context(), s.Queue, "large"))
	first, err := c.Finish(t.Context(), "large")
	must(t, err)
	second, err := c.Finish(t.Context(), "large")
	must(t, err)
	if n := len(first.Content) + len(second.Content); n != 2*len(content) {
		t.Errorf("%d bytes came: %s; %s", n, first.Summary(), second.Summary())
	}
	mustHoldNothing(t, s)
	mustServe(t, s)
}

func TestANameThatIsUsedAgainGetsNothingOfTheOldTransfer(t *testing.T) {
	s := start(t, place(t))
	must(t, s.WriteFile("large", make([]byte, 64<<10)))
	c := inMidTransfer(t, s, "large")
	must(t, mq.Unlink(c.ReplyName()))
	again, err := mq.Open(c.ReplyName(), os.O_RDONLY|os.O_CREATE|os.O_EXCL, wire.QueueMode,
		&mq.Attr{MaxMsg: 1, MsgSize: 512})
	must(t, err)
	defer again.Close()
	if e, err := c.Finish(t.Context(), "large"); err != nil || e.Last().Kind != wire.End {
		t.Error(e.Summary(), err)
	}
	if attr, err := again.Attr(); err != nil || attr.CurMsgs != 0 {
		t.Error("the new queue of that name:", attr, err)
	}
	mustServe(t, s)
}

func TestAReplyQueueThatTheServerMayNotWriteIsDropped(t *testing.T) {
	s := start(t, place(t))
	name := harness.QueueName("private")
	q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o400, &mq.Attr{MaxMsg: 1, MsgSize: 512})
	must(t, err)
	defer q.Close()
	defer mq.Unlink(name)
	send(t, s, name, "x")
	mustLog(t, s, "permission denied")
	mustServe(t, s)
}

func TestAnotherServersQueueAsReplyQueueDisturbsNeither(t *testing.T) {
	a, b := start(t, place(t)), start(t, place(t))
	must(t, a.WriteFile("file", make([]byte, 10_000)))
	send(t, a, b.Queue, "file")
	mustLog(t, a, `sent "file" to "`+b.Queue)
	mustLog(t, b, "dropped a request")
	mustServe(t, a)
	mustServe(t, b)
}

func TestAFileThatVanishesInMidTransferIsSentWhole(t *testing.T) {
	for what, change := range map[string]func(path string) error{
		"unlinked":   os.Remove,
		"unreadable": func(path string) error { return os.Chmod(path, 0) },
		"replaced":   func(path string) error { return os.Rename(path+".new", path) },
	} {
		t.Run(what, func(t *testing.T) {
			s := start(t, place(t))
			const size = 256 << 10
			must(t, s.WriteFile("file", bytes.Repeat([]byte("x"), size)))
			must(t, s.WriteFile("file.new", bytes.Repeat([]byte("y"), size)))
			c := inMidTransfer(t, s, "file")
			must(t, change(filepath.Join(s.Root, "file")))
			e, err := c.Finish(t.Context(), "file")
			if err != nil || bytes.Count(e.Content, []byte("x")) != size-4096 {
				t.Error(e.Summary(), len(e.Content), err)
			}
			mustServe(t, s)
		})
	}
}

func TestADiskErrorInMidTransferFails(t *testing.T) {
	const good = 64 << 10 // every transfer's first read
	s := startIn(t, place(t), []string{"--bad-from", strconv.Itoa(good)})
	must(t, s.WriteFile("file", make([]byte, 256<<10)))
	e := fetch(t, s, "file")
	// FAILURE has the higher priority and may overtake the last DATA.
	if text, failed := e.Failed(); !failed || !strings.Contains(text, "input/output error") ||
		len(e.Content) == 0 || len(e.Content) > good {
		t.Error(e.Summary(), len(e.Content))
	}
	mustHoldNothing(t, s)
	mustServe(t, s)
}

func TestALogThatCannotGrowLosesLinesAndNothingElse(t *testing.T) {
	s := startIn(t, place(t), []string{"--rlimit", "fsize=2000:2000"})
	for range 40 {
		mustServe(t, s)
	}
	must(t, os.Rename(s.Log, s.Log+".1"))
	must(t, s.Signal(unix.SIGHUP))
	mustLog(t, s, "SIGHUP: log reopened")
	mustLog(t, s, "lines lost: more than the log takes")
	mustServe(t, s)
}

func TestFewDescriptorsAreEnoughForAllTransfers(t *testing.T) {
	s := startIn(t, place(t), []string{"--rlimit", "nofile=64:64"})
	const size = 64 << 10
	must(t, s.WriteFile("large", make([]byte, size)))
	clients := asking(t, s, 24, "large")
	mustBeTaken(t, s)
	fetch(t, s, "large") // or a refusal: this client's user is the one whose clients do not read
	if served, refused := finish(t, clients, "large", size); served < 5 {
		t.Errorf("%d served, %d refused", served, refused)
	}
	mustServe(t, s)
	log, err := os.ReadFile(s.Log)
	must(t, err)
	if strings.Contains(string(log), "dropped") || strings.Contains(string(log), "too many open files") {
		t.Errorf("the log:\n%s", log)
	}
}

func TestMoreTransfersThanDescriptorsAreRefusedAtTheStart(t *testing.T) {
	out, status := run("--transfers", "1000000000")
	if status != 2 || !strings.Contains(out, "RLIMIT_NOFILE") {
		t.Errorf("exit status %d: %s", status, out)
	}
}

func TestALogThatCannotBeOpenedAgainStays(t *testing.T) {
	s := start(t, place(t))
	old := s.Log + ".1"
	must(t, os.Rename(s.Log, old))
	must(t, os.Mkdir(s.Log, 0o755))
	must(t, s.Signal(unix.SIGHUP))
	eventually(t, "the old log says so", func() bool {
		log, err := os.ReadFile(old)
		must(t, err)
		return strings.Contains(string(log), "log not reopened")
	})
	mustServe(t, s)
}

// ownAccount returns an account for tests of RLIMIT_MSGQUEUE, which counts the queues of all processes of a user.
func ownAccount(t *testing.T) string {
	t.Helper()
	const name = "daemon"
	if os.Geteuid() != 0 {
		t.Skip("only root can give the server an account of its own")
	}
	if _, err := daemon.LookupAccount(name); err != nil {
		t.Skip(err)
	}
	return name
}

func TestAShallowerRequestQueueWhereThereIsNoRoomForADeepOne(t *testing.T) {
	s := startIn(t, place(t), []string{"--rlimit", "msgqueue=20000:20000"}, "--user", ownAccount(t))
	if _, attr, err := harness.QueueStatus(s.Queue); err != nil || attr.MaxMsg >= 10 {
		t.Error(attr, err)
	}
	mustServe(t, s)
}

func TestNoRoomForARequestQueueIsAnErrorAtTheStart(t *testing.T) {
	p := place(t)
	setting := harness.Setting{Orders: []string{"--rlimit", "msgqueue=1000:1000"}}
	_, err := programs.StartServer(t.Context(), p, setting)
	if err == nil || !strings.Contains(err.Error(), "RLIMIT_MSGQUEUE") {
		t.Error(err)
	}
	if _, err := os.Stat(p.PIDFile); !errors.Is(err, os.ErrNotExist) {
		t.Error("the PID file is left:", err)
	}
}

func TestAnUnlinkedQueueIsMadeAgainWhereThereIsRoomForOne(t *testing.T) {
	s := startIn(t, place(t), []string{"--rlimit", "msgqueue=46000:46000"}, "--user", ownAccount(t))
	must(t, s.WriteFile("file", []byte("x")))
	must(t, mq.Unlink(s.Queue))
	mustServeSoon(t, s)
	if _, attr, err := harness.QueueStatus(s.Queue); err != nil || attr.MaxMsg < 2 {
		t.Error("the new queue:", attr, err)
	}
}

// The request in the unlinked queue needs a slot, and none is free: nothing else may be held up by that.
func TestAnUnlinkedQueueDoesNotHoldUpTheEnd(t *testing.T) {
	s := start(t, place(t), "--transfers", "1")
	must(t, s.WriteFile("large", make([]byte, 1<<20)))
	c := inMidTransfer(t, s, "large")
	waiting := asking(t, s, 1, "large")[0]
	must(t, mq.Unlink(s.Queue))
	mustLog(t, s, "made again")
	must(t, s.Signal(unix.SIGTERM))
	_, err := c.Finish(t.Context(), "large")
	must(t, err)
	if e, err := waiting.Finish(t.Context(), "large"); err != nil || e.Last().Kind != wire.Failure {
		t.Error(e.Summary(), err)
	}
	mustEnd(t, s)
}

func TestAnUnlinkedQueuesSuccessorIsLeftToItsServer(t *testing.T) {
	s := start(t, place(t))
	second := place(t)
	second.Queue = s.Queue
	must(t, s.Stop(t.Context())) // a running server would make its queue again
	must(t, mq.Unlink(s.Queue))
	start(t, second)
	must(t, s.Signal(unix.SIGTERM))
	must(t, s.Signal(unix.SIGCONT))
	_, err := s.WaitForEnd(t.Context())
	must(t, err)
	if !harness.QueueExists(second.Queue) {
		t.Error("the second server's queue is gone")
	}
}

// left returns a queue with one request in it, as a killed server leaves it, for which this test's process is
// registered. The process is root's, the queue another user's.
func left(t *testing.T) (p harness.Place, waiting *harness.Client) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root's server runs as another user than the test")
	}
	p = place(t)
	must(t, p.WriteFile("file", []byte("x")))
	s := start(t, p)
	must(t, s.Signal(unix.SIGKILL))
	_, err := s.WaitForEnd(t.Context())
	must(t, err)
	waiting = asking(t, s, 1, "file")[0]
	stranger, err := mq.Open(p.Queue, os.O_WRONLY, 0, nil)
	must(t, err)
	t.Cleanup(func() { stranger.Close() })
	must(t, stranger.NotifyNone())
	return p, waiting
}

func TestALeftQueueForWhichAStrangerIsRegisteredIsServed(t *testing.T) {
	p, waiting := left(t)
	s := start(t, p)
	if e, err := waiting.Finish(t.Context(), "file"); err != nil || string(e.Content) != "x" {
		t.Error("the request that was left:", e.Summary(), err)
	}
	mustServe(t, s)
	must(t, s.Signal(unix.SIGTERM))
	mustEnd(t, s)
}

func TestAQueueThatIsServedIsLeftToItsServer(t *testing.T) {
	s := start(t, place(t))
	second := place(t)
	second.Queue = s.Queue
	_, err := programs.StartServer(t.Context(), second, harness.Setting{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d is already registered", s.PID)) {
		t.Error(err)
	}
	if status, _, err := harness.QueueStatus(s.Queue); err != nil || status.NotifyPID != s.PID {
		t.Error("registered:", status, err)
	}
	mustServe(t, s)
}

// mustEnd waits for a server that was told to end, and checks what it left behind.
func mustEnd(t *testing.T, s *harness.Server) {
	t.Helper()
	ctx, cancel := harness.WithTimeout(t.Context(), 6*time.Second+harness.Slack)
	defer cancel()
	if status, err := s.WaitForEnd(ctx); err != nil || status != 0 {
		t.Errorf("it ended with status %#x, %v", status, err)
	}
	if harness.QueueExists(s.Queue) {
		t.Error("the queue is left")
	}
	if content, err := os.ReadFile(s.PIDFile); len(content) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the PID file holds %q, %v", content, err)
	}
}

// load has clients fetch until stop is called; came gets a value for each file. It fails the test if a file that
// reached its end was not whole.
func load(t *testing.T, s *harness.Server, content []byte) (came <-chan bool, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	files := make(chan bool)
	var all sync.WaitGroup
	for range 4 {
		c, err := harness.NewClient(harness.Shape{Depth: 4, MsgSize: 4096})
		must(t, err)
		all.Go(func() {
			defer c.Close()
			for ctx.Err() == nil {
				e, err := c.Fetch(ctx, s.Queue, "file")
				if err == nil && e.Last().Kind == wire.End && !bytes.Equal(e.Content, content) {
					t.Error("not the file:", e.Summary())
				}
				if err != nil || e.Last().Kind != wire.End {
					return
				}
				select {
				case files <- true:
				default: // nobody is waiting
				}
			}
		})
	}
	return files, func() { cancel(); all.Wait() }
}

// afterUpTo waits until a random number of files has come, so that others are in progress.
func afterUpTo(t *testing.T, most int, came <-chan bool) {
	t.Helper()
	ctx, cancel := harness.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()
	for range rand.N(most) {
		select {
		case <-came:
		case <-ctx.Done():
			t.Fatal("no file comes")
		}
	}
}

func TestSignalsAtRandomMoments(t *testing.T) {
	p := place(t)
	content := bytes.Repeat([]byte("0123456789"), 6000)
	must(t, p.WriteFile("file", content))
	begin := time.Now()
	for n := 0; n < 10 && (n == 0 || time.Since(begin) < 10*time.Second); n++ { // a round takes long on a slow machine
		s := start(t, p)
		came, stop := load(t, s, content)
		for range 5 {
			afterUpTo(t, 10, came)
			must(t, s.Signal(unix.SIGHUP))
		}
		mustServe(t, s)
		afterUpTo(t, 30, came)
		must(t, s.Signal(unix.SIGKILL))
		_, err := s.WaitForEnd(t.Context())
		must(t, err)
		stop()

		s = start(t, p) // takes over the dead server's queue and requests
		mustServe(t, s)
		came, stop = load(t, s, content)
		afterUpTo(t, 30, came)
		must(t, s.Signal(unix.SIGTERM))
		mustEnd(t, s)
		stop()
	}
}

// listenAndHang makes a socket whose backlog of connections is full.
func listenAndHang(t *testing.T, path string) {
	t.Helper()
	address := &unix.SockaddrUnix{Name: path}
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(listener) })
	must(t, unix.Bind(listener, address))
	must(t, os.Chmod(path, 0o666))
	must(t, unix.Listen(listener, 0))
	for err == nil {
		var client int
		client, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		t.Cleanup(func() { unix.Close(client) })
		err = unix.Connect(client, address)
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
}

// The log daemon is the test's own socket, at /dev/log of a mount namespace; the journal hangs.
func TestSyslog(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a /dev and a /run of the test's own")
	}
	p := place(t)
	dev := filepath.Join(p.Dir, "dev")
	must(t, os.Mkdir(dev, 0o755))
	syslog := listen(t, dev+"/log")
	listenAndHang(t, filepath.Join(p.Dir, "stdout"))
	const mounted = `cd "$0" && touch null urandom && mount --bind /dev/null null && mount --rbind "$0" /dev &&
		mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$0/.." /run/systemd/journal && cd / && exec "$@"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", mounted, dev, programs.Server, "--root", p.Root, "--queue", p.Queue,
		"--pidfile", p.PIDFile)
	if out, err := harness.CombinedOutput(cmd); err != nil {
		if strings.Contains(string(out), "unshare") || strings.Contains(string(out), "mount") {
			t.Skipf("no mount namespace here: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	pid, err := daemon.Running(p.PIDFile)
	must(t, err)
	begin := fmt.Sprintf("<30>mqfiled[%d]: ", pid)
	if line := receive(t, syslog); !strings.HasPrefix(line, begin+"ready: ") {
		t.Errorf("first %q, want %q", line, begin+"ready: ")
	}

	syslog.Close() // restarted, as on each of its upgrades
	must(t, os.Remove(dev+"/log"))
	syslog = listen(t, dev+"/log")
	defer syslog.Close()
	must(t, p.WriteFile("file", []byte("x")))
	_, err = client(t, harness.Small).Fetch(t.Context(), p.Queue, "file")
	must(t, err)
	if line := receive(t, syslog); !strings.HasPrefix(line, begin+`sent "file" to `) {
		t.Errorf("then %q, want %q", line, begin+`sent "file" to `)
	}

	must(t, unix.Kill(pid, unix.SIGSEGV))
	for !strings.HasPrefix(receive(t, syslog), "SIGSEGV") { // until the text of the crash comes
	}
}
