package sysv_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

func TestStatus(t *testing.T) {
	q := newQueue(t)
	began := time.Now().Truncate(time.Second)
	s, err := q.Status()
	must(t, err)
	l, err := sysv.SystemLimits()
	must(t, err)
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	want := sysv.Status{ID: q.ID(), Mode: 0o600, UID: uid, GID: gid, CreatorUID: uid, CreatorGID: gid,
		MaxBytes: l.MsgMnb, Changed: s.Changed}
	if s != want {
		t.Errorf("a new queue has\n%+v, not\n%+v", s, want)
	}
	must(t, q.Send(1, make([]byte, 100), 0), q.Send(2, nil, 0))
	_, _, err = q.Receive(nil, 2, 0)
	must(t, err)
	s, err = q.Status()
	must(t, err)
	want.Messages, want.Bytes, want.LastSender, want.LastReceiver = 1, 100, os.Getpid(), os.Getpid()
	want.Sent, want.Received = s.Sent, s.Received
	if s != want {
		t.Errorf("a queue that was used has\n%+v, not\n%+v", s, want)
	}
	for _, when := range []time.Time{s.Changed, s.Sent, s.Received} {
		if when.Before(began.Add(-time.Second)) || when.After(time.Now()) {
			t.Errorf("%v is not between %v and now", when, began)
		}
	}
}

func TestSet(t *testing.T) {
	q := newQueue(t)
	s, err := q.Status()
	must(t, err)
	settings := s.Settings()
	settings.Mode, settings.MaxBytes = 0o640, 200
	must(t, q.Set(settings))
	s, err = q.Status()
	must(t, err)
	if s.Settings() != settings {
		t.Errorf("set %+v, got %+v", settings, s.Settings())
	}
	must(t, q.Send(1, make([]byte, 200), sysv.NoWait))
	wantError(t, q.Send(1, make([]byte, 1), sysv.NoWait), unix.EAGAIN, "queue "+q.String()+": msgsnd: the queue is full")
}

func TestLook(t *testing.T) {
	q := newQueue(t)
	s, err := q.Status()
	must(t, err)
	looked, err := q.Look()
	must(t, err)
	if looked != s {
		t.Errorf("Look tells %+v, Status %+v", looked, s)
	}
	all, err := sysv.Queues()
	must(t, err)
	found := 0
	for _, other := range all {
		if other == s {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%v is listed %d times", q, found)
	}
}

// The lower bits of a number are a place, which another queue may have.
func TestLookKnowsAnotherQueueAtThePlace(t *testing.T) {
	q := newQueue(t)
	other := sysv.ByID(q.ID() ^ 1<<30)
	_, err := other.Look()
	wantError(t, err, unix.EINVAL, "queue "+other.String()+": msgctl MSG_STAT_ANY: no such queue")
}

// The kernel says tgid where it finds a message, and tid where it hands one to a sleeper (pipelined_send in ipc/msg.c).
func TestLastReceiverIsAThreadIfItSlept(t *testing.T) {
	q := newQueue(t)
	th := onThread(func() error {
		_, _, err := q.Receive(nil, 0, 0)
		return err
	})
	th.asleep(t, unix.SYS_MSGRCV)
	must(t, q.Send(1, nil, 0), next(t, th.done))
	s, err := q.Status()
	must(t, err)
	if s.LastReceiver != th.tid || s.LastSender != os.Getpid() {
		t.Errorf("received by %d, sent by %d; the thread is %d of %d", s.LastReceiver, s.LastSender, th.tid, os.Getpid())
	}
}
