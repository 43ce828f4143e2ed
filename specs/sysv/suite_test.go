// Package sysv_test states how System V message queues behave beside POSIX ones, and what the file server that the lab
// begins with does, and proves each sentence. The guide's table "System V queues / POSIX queues" names these specs.
package sysv_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
	"daemonlab/lab/sysv"
	"daemonlab/specs/check"
	"daemonlab/specs/inside"
	"daemonlab/specs/rubric"
)

func TestMain(m *testing.M) {
	parts.Play()
	os.Exit(m.Run())
}

func TestSystemV(t *testing.T) {
	// What nohup(1) ignores, or a shell in the background, the programs would ignore as well. A signal that is caught is
	// reset by execve(2).
	for _, sig := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	inside.Run(t, title, func(place string) error {
		return check.Build(place, "daemonlab/lab/sysv/server", "daemonlab/lab/sysv/client")
	})
}

const title = "System V message queues on Linux, and a file server over them"

// Whatever a spec has made is removed when it ends, by it or by the program that it is about.
var _ = BeforeEach(func() {
	if inside.Private() {
		DeferCleanup(func() {
			left, err := sysv.Queues()
			for _, q := range left {
				q.ID.Remove()
			}
			Expect(left, err).To(BeEmpty(), "queues that the spec has left")
		})
	}
})

// must gives what has to come without an error.
func must[T any](value T, err error) T {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return value
}

// only is the error of a call.
func only[T any](_ T, err error) error { return err }

// remove removes a queue that may be gone already.
func remove(q sysv.Queue) {
	GinkgoHelper()
	if err := q.Remove(); !errors.Is(err, os.ErrNotExist) {
		Expect(err).NotTo(HaveOccurred())
	}
}

// newSysV makes a System V queue that goes with the spec, of so many bytes if they are given.
func newSysV(bytes ...int) sysv.Queue {
	GinkgoHelper()
	q := makeSysV(sysv.Private)
	if len(bytes) > 0 {
		change(q, func(s *sysv.Status) { s.MaxBytes = bytes[0] })
	}
	return q
}

func makeSysV(key sysv.Key) sysv.Queue {
	GinkgoHelper()
	q := must(sysv.Get(key, sysv.Create|sysv.Exclusive, 0o600))
	DeferCleanup(remove, q)
	return q
}

// change changes with IPC_SET.
func change(q sysv.Queue, f func(*sysv.Status)) {
	GinkgoHelper()
	s := status(q)
	f(&s)
	Expect(q.Set(s)).To(Succeed())
}

func status(q sysv.Queue) sysv.Status {
	GinkgoHelper()
	return must(q.Status())
}

// newKey is a key that hardly leads to a queue.
func newKey() sysv.Key { return sysv.Key(rand.Int32() | 1) }

func newName() string { return fmt.Sprintf("/sysv-specs-%x", rand.Int64()) }

// newPOSIX makes a POSIX queue that goes with the spec. It is small: all queues of a user share RLIMIT_MSGQUEUE.
func newPOSIX() *mq.Blocking {
	GinkgoHelper()
	q := must(openPOSIX(newName(), os.O_CREATE|os.O_EXCL, 4))
	DeferCleanup(func() {
		mq.Unlink(q.Name())
		q.Close()
	})
	return q
}

func openPOSIX(name string, flags, maxMsg int) (*mq.Blocking, error) {
	return mq.OpenBlocking(name, os.O_RDWR|flags, 0o622, &mq.Attr{MaxMsg: maxMsg, MsgSize: 64})
}

func descriptor(p *mq.Blocking) (fd int) {
	GinkgoHelper()
	Expect(p.Control(func(n uintptr) { fd = int(n) })).To(Succeed())
	return fd
}

// message is what comes out of a queue of either kind.
type message struct {
	kind int // type or priority
	text string
}

func send(q sysv.Queue, messages ...message) {
	GinkgoHelper()
	for _, m := range messages {
		Expect(q.Send(m.kind, []byte(m.text), sysv.NoWait)).To(Succeed())
	}
}

func post(q *mq.Blocking, messages ...message) {
	GinkgoHelper()
	for _, m := range messages {
		Expect(q.TimedSend([]byte(m.text), uint(m.kind), &past)).To(Succeed())
	}
}

// past is a deadline that has a call return at once.
var past unix.Timespec

// receive takes a message without waiting.
func receive(q sysv.Queue, selector, flags int) (message, error) {
	buf := make([]byte, 64)
	n, mtype, err := q.Receive(buf, selector, flags|sysv.NoWait)
	return message{mtype, string(buf[:n])}, err
}

// take receives n messages that must be there.
func take(q sysv.Queue, selector, n int) (all []message) {
	GinkgoHelper()
	for range n {
		all = append(all, must(receive(q, selector, 0)))
	}
	return all
}

// fetch is take for a POSIX queue, which leaves no choice.
func fetch(q *mq.Blocking, n int) (all []message) {
	GinkgoHelper()
	for range n {
		buf := make([]byte, 64)
		size, prio, err := q.TimedReceive(buf, &past)
		Expect(err).NotTo(HaveOccurred())
		all = append(all, message{int(prio), string(buf[:size])})
	}
	return all
}

func sleepingReceiver(q sysv.Queue, flags int) inside.Thread {
	GinkgoHelper()
	return inside.StartAsleep(unix.SYS_MSGRCV, func() error {
		_, _, err := q.Receive(make([]byte, 64), 0, flags)
		return err
	})
}

func sleepingSender(q sysv.Queue, text string) inside.Thread {
	GinkgoHelper()
	return inside.StartAsleep(unix.SYS_MSGSND, func() error { return q.Send(1, []byte(text), 0) })
}

func sleepingMQReceiver(q *mq.Blocking) inside.Thread {
	GinkgoHelper()
	return inside.StartAsleep(unix.SYS_MQ_TIMEDRECEIVE, func() error {
		_, _, err := q.Receive(make([]byte, 64))
		return err
	})
}

// makeOneOfEach tries to make a queue of each kind, and leaves none.
func makeOneOfEach() (sysvErr, posixErr error) {
	q, sysvErr := sysv.Get(sysv.Private, sysv.Create, 0o600)
	if sysvErr == nil {
		sysvErr = q.Remove()
	}
	p, posixErr := openPOSIX(newName(), os.O_CREATE|os.O_EXCL, 1)
	if posixErr == nil {
		posixErr = errors.Join(mq.Unlink(p.Name()), p.Close())
	}
	return sysvErr, posixErr
}

func init() {
	parts.Add("send by number", func(args []string) error { // of a System V queue and of a descriptor
		var q sysv.Queue
		var fd int
		fmt.Sscan(strings.Join(args, " "), &q, &fd)
		_, inheritErr := mq.InheritBlocking(fd, "/by-number")
		if !errors.Is(inheritErr, unix.EBADF) {
			return fmt.Errorf("inherit: %w", inheritErr)
		}
		return q.Send(1, []byte("by number"), 0)
	})
	// Leaves a message in a queue of each kind, and is killed with an open one that has no name.
	parts.Add("leave", func(args []string) error {
		q, getErr := sysv.Get(sysv.Private, sysv.Create, 0o600)
		p, openErr := openPOSIX(args[0], os.O_CREATE|os.O_EXCL, 1)
		unnamed, unnamedErr := openPOSIX(newName(), os.O_CREATE|os.O_EXCL, 1)
		err := cmp.Or(getErr, openErr, unnamedErr)
		if err == nil {
			err = errors.Join(q.Send(1, []byte("left"), 0), p.Send([]byte("left"), 1), mq.Unlink(unnamed.Name()))
		}
		fmt.Println(int(q), err)
		os.Stdin.Read(make([]byte, 1))
		return err
	})
}

// TestGuide proves that each line of the guide's table names specs that there are, and the same in both languages, and
// that every spec that compares has a line.
func TestGuide(t *testing.T) {
	if inside.Place() != "" {
		t.Skip("the suite's process previews no specs")
	}
	specs := map[string]bool{} // whether it compares
	for _, spec := range PreviewSpecs(title).SpecReports {
		if containers := spec.ContainerHierarchyTexts; len(containers) > 0 {
			specs[spec.LeafNodeText] = strings.HasPrefix(containers[0], compares)
		}
	}
	proofs := [][]string{named(t, "en"), named(t, "es")}
	if !slices.Equal(proofs[0], proofs[1]) {
		t.Errorf("the proofs are\n%q\nin English and in Spanish\n%q", proofs[0], proofs[1])
	}
	for _, title := range proofs[0] {
		_, isSpec := specs[title]
		if _, isRow := rubric.Find(rubric.Standard(), title); !isRow && !isSpec {
			t.Errorf("there is no spec %q", title)
		}
	}
	for title, compares := range specs {
		if compares && !slices.Contains(proofs[0], title) {
			t.Errorf("no line for the spec %q", title)
		}
	}
}

// compares begins the names of the containers whose specs set the two kinds of queue side by side.
const compares = "queues: "

var quoted = regexp.MustCompile("`([^`]+)`")

// named lists the proofs of all lines of a table, which its last column names.
func named(t *testing.T, language string) (proofs []string) {
	text, err := os.ReadFile("../../lab/guide/" + language + "/sysv-posix.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile(`(?m)^\| [^|].*`).FindAllString(string(text), -1) { // not a table's head
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		matches := quoted.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 4 || len(matches) == 0 {
			t.Errorf("%s: what proves %q?", language, row)
		}
		for _, match := range matches {
			proofs = append(proofs, match[1])
		}
	}
	return proofs
}
