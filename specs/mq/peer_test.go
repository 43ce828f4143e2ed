package mq_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
	"daemonlab/specs/inside"
)

// peer is another process. It makes the system calls that a spec orders, one at a time, on its main thread. SIGUSR1
// and a real-time signal are blocked in it, so they stay pending until the spec asks for them.
type peer struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	say    *json.Encoder
	hear   *json.Decoder
}

// order is a call to make; each kind uses the fields it needs.
type order struct {
	Call           string
	FD             int
	Name           string
	Flags          int
	MaxMsg, Size   int
	Text           string
	Notify, Signal int
	Value          uint64
}

// reply is the call's result.
type reply struct {
	N      int
	Text   string
	Errno  unix.Errno
	Status mq.Status
	Infos  []siginfo
}

// The first inherited descriptor gets this number in the peer, the next one the number after it.
const firstInherited = 3

// startPeer starts a process; changes may add descriptors or namespaces.
func startPeer(changes ...func(*exec.Cmd)) *peer {
	GinkgoHelper()
	p := &peer{cmd: parts.Command("peer")}
	p.cmd.Stderr = GinkgoWriter
	for _, change := range changes {
		change(p.cmd)
	}
	in := must(p.cmd.StdinPipe())
	out := must(p.cmd.StdoutPipe())
	Expect(startBlocking(peerSignals(), p.cmd)).To(Succeed())
	p.orders, p.say, p.hear = in, json.NewEncoder(in), json.NewDecoder(out)
	DeferCleanup(p.kill)
	return p
}

// peerWith returns a peer that has the queue open.
func peerWith(q *mq.Queue, flags int) (*peer, int) {
	GinkgoHelper()
	p := startPeer()
	return p, must(p.open(q.Name(), flags))
}

// realTime is a real-time signal that neither the Go runtime nor libc uses.
const realTime = syscall.Signal(40)

// peerSignals are the signals blocked in a peer.
func peerSignals() *unix.Sigset_t {
	return &unix.Sigset_t{Val: [16]uint64{1<<(unix.SIGUSR1-1) | 1<<(realTime-1)}}
}

// startBlocking starts a process with signals blocked: it inherits this thread's mask.
func startBlocking(set *unix.Sigset_t, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, set, &old); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil))
}

// inherits passes descriptors to a peer and closes them here.
func inherits(files ...*os.File) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) { cmd.ExtraFiles = append(cmd.ExtraFiles, files...) }
}

// inNamespaces starts a peer in namespaces of its own.
func inNamespaces(flags uintptr) func(*exec.Cmd) {
	GinkgoHelper()
	inside.NeedPrivate()
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		if flags&unix.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
			cmd.SysProcAttr.GidMappings = cmd.SysProcAttr.UidMappings
		}
	}
}

// asOtherUser starts a peer as another user.
func asOtherUser() func(*exec.Cmd) {
	GinkgoHelper()
	inside.NeedTwoUsers()
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: inside.OtherUser, Gid: inside.OtherUser, NoSetGroups: true},
		}
	}
}

func (p *peer) pid() int { return p.cmd.Process.Pid }

// do makes the peer do a call, and returns its result.
func (p *peer) do(o order) (reply, error) {
	GinkgoHelper()
	var r reply
	Expect(p.say.Encode(o)).To(Succeed())
	Expect(p.hear.Decode(&r)).To(Succeed())
	if r.Errno != 0 {
		return reply{Text: r.Text}, r.Errno
	}
	return r, nil
}

func (p *peer) try(o order) error {
	_, err := p.do(o)
	return err
}

func (p *peer) close(fd int) error       { return p.try(order{Call: "close", FD: fd}) }
func (p *peer) unlink(name string) error { return p.try(order{Call: "unlink", Name: name}) }
func (p *peer) unnotify(fd int) error    { return p.try(order{Call: "unnotify", FD: fd}) }

func (p *peer) open(name string, flags int) (int, error) {
	r, err := p.do(order{Call: "open", Name: name, Flags: flags, MaxMsg: 1, Size: 16})
	return r.N, err
}

func (p *peer) send(fd int, text string) error { return p.try(order{Call: "send", FD: fd, Text: text}) }

func (p *peer) receive(fd int) (string, error) {
	r, err := p.do(order{Call: "receive", FD: fd})
	return r.Text, err
}

// notify registers with SIGEV_NONE, or with SIGEV_SIGNAL and SIGUSR1.
func (p *peer) notify(fd, how int) error {
	return p.try(order{Call: "notify", FD: fd, Notify: how, Signal: int(unix.SIGUSR1), Value: 42})
}

// notifyThread registers with SIGEV_THREAD and a mailbox that the peer has inherited.
func (p *peer) notifyThread(fd, socket int, id byte) error {
	return p.try(order{Call: "notify thread", FD: fd, Signal: socket, Text: string(id)})
}

func (p *peer) status(fd int) mq.Status { return must(p.do(order{Call: "status", FD: fd})).Status }

// signals consumes and returns the pending instances of the peer's blocked signals.
func (p *peer) signals() []siginfo { return must(p.do(order{Call: "signals"})).Infos }

func (p *peer) limit(resource, value int) {
	Expect(p.try(order{Call: "limit", FD: resource, Value: uint64(value)})).To(Succeed())
}

// exec has the peer execute its program again, which closes what is close-on-exec, and waits until it answers.
func (p *peer) exec() { must(p.do(order{Call: "exec"})) }

// exit has the peer exit, and waits for it.
func (p *peer) exit() {
	GinkgoHelper()
	p.orders.Close()
	Expect(p.cmd.Wait()).To(Succeed())
}

// kill kills the peer with SIGKILL, and waits for it.
func (p *peer) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func init() { parts.Add("peer", playPeer) }

// playPeer runs in the peer and does not return.
func playPeer(args []string) error {
	say := json.NewEncoder(os.Stdout)
	if len(args) > 0 { // after exec
		say.Encode(reply{})
	}
	orders := make(chan order)
	go func() { // ends the process with the connection, even if a call sleeps
		for hear := json.NewDecoder(os.Stdin); ; {
			var o order
			if err := hear.Decode(&o); err != nil {
				os.Exit(0)
			}
			orders <- o
		}
	}()
	for {
		var r reply
		o := <-orders
		if err := calls[o.Call](o, &r); err != nil && !errors.As(err, &r.Errno) {
			return fmt.Errorf("%s: %w", o.Call, err)
		}
		say.Encode(r)
	}
}

var calls = map[string]func(order, *reply) error{
	"open": func(o order, r *reply) (err error) {
		r.N, err = rawOpen(strings.TrimPrefix(o.Name, "/"), o.Flags, 0o600, &mqAttr{maxMsg: o.MaxMsg, msgSize: o.Size})
		return err
	},
	"explain open": func(o order, r *reply) error {
		_, err := mq.Open(o.Name, o.Flags, 0o600, &mq.Attr{MaxMsg: o.MaxMsg, MsgSize: o.Size})
		r.Text = fmt.Sprint(err)
		return err
	},
	"close":  func(o order, _ *reply) error { return unix.Close(o.FD) },
	"unlink": func(o order, _ *reply) error { return rawUnlink(strings.TrimPrefix(o.Name, "/")) },
	"explain unlink": func(o order, r *reply) error {
		err := mq.Unlink(o.Name)
		r.Text = fmt.Sprint(err)
		return err
	},
	"send": func(o order, _ *reply) error { return rawSend(o.FD, []byte(o.Text), nil) },
	"receive": func(o order, r *reply) error {
		buf := make([]byte, 64)
		n, err := rawReceive(o.FD, buf, nil)
		r.Text = string(buf[:n])
		return err
	},
	"notify": func(o order, _ *reply) error {
		return rawNotify(o.FD, &sigevent{value: uintptr(o.Value), signo: int32(o.Signal), notify: int32(o.Notify)})
	},
	"notify thread": func(o order, _ *reply) error { return rawNotifyThread(o.FD, o.Signal, &cookie{o.Text[0]}) },
	"unnotify":      func(o order, _ *reply) error { return rawNotify(o.FD, nil) },
	"status": func(o order, r *reply) error {
		buf := make([]byte, 128)
		n, err := unix.Pread(o.FD, buf, 0)
		if err == nil {
			r.Status, err = mq.ParseStatus(string(buf[:n]))
		}
		return err
	},
	"signals": pendingSignals,
	"keep":    func(o order, _ *reply) error { return outcome(unix.FcntlInt(uintptr(o.FD), unix.F_SETFD, 0)) },
	"exec": func(order, *reply) error {
		return unix.Exec("/proc/self/exe", []string{"peer", "again"}, os.Environ())
	},
	"limit": func(o order, _ *reply) error {
		return unix.Setrlimit(o.FD, &unix.Rlimit{Cur: o.Value, Max: o.Value})
	},
	"write file":        func(o order, _ *reply) error { return os.WriteFile(o.Name, []byte(o.Text), 0) },
	"new IPC namespace": func(order, *reply) error { return unix.Unshare(unix.CLONE_NEWIPC) },
	"kill":              func(o order, _ *reply) error { return unix.Kill(o.FD, unix.SIGUSR1) },
}

func pendingSignals(_ order, r *reply) error {
	fd, err := unix.Signalfd(-1, peerSignals(), unix.SFD_NONBLOCK|unix.SFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		info, err := readSiginfo(fd)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Infos = append(r.Infos, info)
	}
}
