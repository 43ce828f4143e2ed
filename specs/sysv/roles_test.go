package sysv_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/sysv"
)

// What other processes do for the specs.
func init() {
	parts["send by number"] = func(args []string) error {
		q, err := queueOf(args[0])
		return errors.Join(err, q.Send(1, []byte("by number"), 0))
	}
	parts["post by number"] = func(args []string) error {
		fd, err := strconv.Atoi(args[0])
		_, attrErr := mq.InheritBlocking(fd, "/by-number")
		fmt.Println(errno(attrErr))
		return err
	}
	parts["reuse of descriptors"] = reuseDescriptors
	parts["umask"] = underUmask
	parts["remove"] = func(args []string) error {
		q, err := queueOf(args[0])
		fmt.Println("msgctl:", errno(q.Remove()))
		fmt.Println("mq_unlink:", errno(mq.Unlink(args[1])))
		return err
	}
	parts["look for"] = func(args []string) error {
		key, err := strconv.Atoi(args[0])
		_, getErr := sysv.Get(sysv.Key(key), 0, 0)
		fmt.Println("msgget:", errno(getErr))
		_, openErr := mq.Open(args[1], os.O_RDONLY, 0, nil)
		fmt.Println("mq_open:", errno(openErr))
		return err
	}
	parts["send and end"] = sendAndEnd
	parts["hold"] = hold
}

func openDescriptor() (int, error) {
	name := newName()
	p, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 1})
	if err != nil {
		return -1, err
	}
	var fd int
	err = p.Control(func(n uintptr) { fd = int(n) })
	return fd, errors.Join(err, mq.Unlink(name), p.Close())
}

func reuseDescriptors([]string) error {
	if _, err := openDescriptor(); err != nil { // the first one also opens the poller
		return err
	}
	first, err := openDescriptor()
	second, secondErr := openDescriptor()
	if first == second {
		fmt.Println("the same")
	}
	return errors.Join(err, secondErr)
}

func underUmask([]string) error {
	unix.Umask(0o077)
	q, err := sysv.Get(sysv.Private, sysv.Create, 0o622)
	if err != nil {
		return err
	}
	defer q.Remove()
	s, err := q.Look()
	if err != nil {
		return err
	}
	fmt.Printf("msgget: %#o\n", s.Mode)
	name := newName()
	p, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o622, &mq.Attr{MaxMsg: 1, MsgSize: 1})
	if err != nil {
		return err
	}
	defer mq.Unlink(name)
	var st unix.Stat_t
	var statErr error
	err = p.Control(func(fd uintptr) { statErr = unix.Fstat(int(fd), &st) })
	fmt.Printf("mq_open: %#o\n", st.Mode&0o777)
	return errors.Join(err, statErr)
}

func sendAndEnd(args []string) error {
	key, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	q, err := sysv.Get(sysv.Key(key), sysv.Create|sysv.Exclusive, 0o600)
	if err != nil {
		return err
	}
	p, err := mq.OpenBlocking(args[1], os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 8})
	if err != nil {
		return err
	}
	return errors.Join(q.Send(1, []byte("left"), 0), p.Send([]byte("left"), 1))
}

// hold makes a queue of each kind without a name, with a message in it, tells the number of the System V queue and
// waits to be killed.
func hold(args []string) error {
	q, err := sysv.Get(sysv.Private, sysv.Create, 0o600)
	if err != nil {
		return err
	}
	p, err := mq.OpenBlocking(args[0], os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 8})
	if err != nil {
		return err
	}
	err = errors.Join(mq.Unlink(args[0]), q.Send(1, []byte("left"), 0), p.Send([]byte("left"), 1))
	fmt.Println(q.ID())
	never := make(chan os.Signal, 1)
	signal.Notify(never, unix.SIGUSR2)
	<-never
	return err
}
