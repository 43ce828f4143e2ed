package sysv_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

func TestErrorsOfLiveQueues(t *testing.T) {
	q := newQueue(t)
	l, err := sysv.SystemLimits()
	must(t, err)
	name := "queue " + q.String()
	_, _, err = q.Receive(nil, 0, sysv.NoWait)
	wantError(t, err, unix.ENOMSG, name+": msgrcv: no such message is in the queue")
	must(t, q.Send(1, []byte("four"), 0))
	_, _, err = q.Receive(make([]byte, 3), 0, 0)
	wantError(t, err, unix.E2BIG, name+": msgrcv: the message is longer than the buffer of 3 bytes")
	wantError(t, q.Send(0, nil, 0), unix.EINVAL, name+": msgsnd: type 0: the type of a message must be positive")
	wantError(t, q.Send(-5, nil, 0), unix.EINVAL, name+": msgsnd: type -5: the type of a message must be positive")
	wantError(t, q.Send(1, make([]byte, l.MsgMax+1), 0), unix.EINVAL,
		fmt.Sprintf("%s: msgsnd: a message of %d bytes, the system allows %d (msgmax)", name, l.MsgMax+1, l.MsgMax))
	if errors.Is(q.Send(0, nil, 0), os.ErrNotExist) {
		t.Error("a wrong type is taken for a queue that is gone")
	}
}

func TestErrorsOfQueuesThatAreGone(t *testing.T) {
	q := newQueue(t)
	must(t, q.Remove())
	_, _, received := q.Receive(nil, 0, 0)
	_, asked := q.Status()
	for call, err := range map[string]error{
		"msgsnd": q.Send(1, nil, 0), "msgrcv": received, "msgctl IPC_STAT": asked,
		"msgctl IPC_SET": q.Set(sysv.Settings{}), "msgctl IPC_RMID": q.Remove(),
	} {
		wantError(t, err, unix.EINVAL, "queue "+q.String()+": "+call+": no such queue")
		wantError(t, err, os.ErrNotExist, err.Error())
	}
}

// unprivileged are checks that root would pass. They are run as another user where the tests run as root.
func init() {
	parts["unprivileged"] = func() error {
		id := 0
		if _, err := fmt.Sscan(os.Getenv("SYSV_TEST_QUEUE"), &id); err != nil {
			return err
		}
		q := sysv.ByID(id)
		_, statusErr := q.Status()
		_, _, receiveErr := q.Receive(nil, 0, sysv.NoWait)
		_, lookErr := q.Look()
		return errors.Join(
			says(q.Send(1, nil, sysv.NoWait), "no permission to write", unix.EACCES),
			says(receiveErr, "no permission to read", unix.EACCES),
			says(statusErr, "no permission to read", unix.EACCES),
			lookErr,
		)
	}
	parts["stranger"] = func() error {
		id := 0
		if _, err := fmt.Sscan(os.Getenv("SYSV_TEST_QUEUE"), &id); err != nil {
			return err
		}
		q := sysv.ByID(id)
		return errors.Join(
			says(q.Remove(), "the queue is another user's", unix.EPERM),
			says(q.Set(sysv.Settings{Mode: 0o666}), "the queue is another user's", unix.EPERM),
		)
	}
}

// says checks an error for the user who reads it, and for the program.
func says(err error, reason string, errno unix.Errno) error {
	var e *sysv.Error
	if !errors.As(err, &e) || !errors.Is(err, errno) || e.Error() != "queue "+e.Queue+": "+e.Op+": "+reason {
		return fmt.Errorf("%q is not %v with %q", err, errno, reason)
	}
	return nil
}
