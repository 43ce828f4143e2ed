package mq_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"daemonlab/lab/mq"

	"golang.org/x/sys/unix"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func Example() {
	name := fmt.Sprintf("/example-%d", os.Getpid())
	q, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 10, MsgSize: 128})
	check(err)
	defer q.Close()
	defer mq.Unlink(name)

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for prio, text := range []string{"whenever you like", "soon", "now"} {
		check(q.Send(ctx, []byte(text), uint(prio)))
	}
	buf := make([]byte, 128)
	for range 3 {
		n, prio, err := q.Receive(ctx, buf)
		check(err)
		fmt.Println(prio, string(buf[:n]))
	}
	// Output:
	// 2 now
	// 1 soon
	// 0 whenever you like
}

// A client asks and waits for the answer: two waits, both in the kernel, as in C.
func ExampleBlocking() {
	name := fmt.Sprintf("/example-blocking-%d", os.Getpid())
	q, err := mq.OpenBlocking(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 128})
	check(err)
	defer q.Close()
	defer mq.Unlink(name)

	check(q.Send([]byte("question"), 0))
	buf := make([]byte, 128)
	n, _, err := q.ReceiveUntil(buf, time.Now().Add(10*time.Second))
	check(err)
	fmt.Println(string(buf[:n]))
	_, _, err = q.ReceiveUntil(buf, time.Now())
	fmt.Println(errors.Is(err, unix.ETIMEDOUT), os.IsTimeout(err))
	// Output:
	// question
	// true true
}

func ExampleError() {
	_, err := mq.Open("/no/such", os.O_RDONLY, 0, nil)
	fmt.Println(err)
	_, err = mq.Open("/no-such", os.O_RDONLY, 0, nil)
	fmt.Println(err)
	fmt.Println(errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENOENT))
	if e, ok := errors.AsType[*mq.Error](err); ok {
		fmt.Println(e.Op, e.Name)
	}
	// Output:
	// queue /no/such: open: a name has one slash, at its beginning, and is not /. or /..
	// queue /no-such: open: no such queue
	// true true
	// open /no-such
}

// A server loses no message if its function registers again before it drains the queue: the loop finds what arrived
// before the new registration, and whatever arrives after the loop found the queue empty is announced.
func ExampleQueue_Notify() {
	name := fmt.Sprintf("/example-notify-%d", os.Getpid())
	q, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 4, MsgSize: 128})
	check(err)
	defer mq.Unlink(name)

	var served sync.WaitGroup
	drain := func() {
		buf := make([]byte, 128)
		for {
			_, _, err := q.TryReceive(buf)
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, os.ErrClosed) {
				return // empty; or the program is ending
			}
			check(err)
			served.Done()
		}
	}
	var arrived func(mq.Event)
	arrived = func(ev mq.Event) {
		if ev == mq.Removed {
			return // by Close below
		}
		if err := q.Notify(arrived); err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, os.ErrClosed) {
			log.Print(err)
		}
		drain()
	}
	check(q.Notify(arrived))
	drain() // messages from before the first registration are not announced

	const messages = 100
	served.Add(messages)
	for range messages {
		check(q.Send(context.Background(), []byte("work"), 0))
	}
	served.Wait()
	fmt.Println("served", messages)
	q.Close()
	// Output: served 100
}
