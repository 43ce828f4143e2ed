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

func Example() {
	name := fmt.Sprintf("/example-%d", os.Getpid())
	q, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 10, MsgSize: 128})
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	defer mq.Unlink(name)

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for prio, text := range []string{"whenever you like", "soon", "now"} {
		if err := q.Send(ctx, []byte(text), uint(prio)); err != nil {
			log.Fatal(err)
		}
	}
	buf := make([]byte, 128)
	for range 3 {
		n, prio, err := q.Receive(ctx, buf)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(prio, string(buf[:n]))
	}
	// Output:
	// 2 now
	// 1 soon
	// 0 whenever you like
}

// A server never loses a message if its function registers again before it drains the queue: what came before the new
// registration is found by the loop, what comes after the loop found the queue empty is announced.
func ExampleQueue_Notify() {
	name := fmt.Sprintf("/example-notify-%d", os.Getpid())
	q, err := mq.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &mq.Attr{MaxMsg: 4, MsgSize: 128})
	if err != nil {
		log.Fatal(err)
	}
	defer mq.Unlink(name)

	var served sync.WaitGroup
	drain := func() {
		buf := make([]byte, 128)
		for {
			_, _, err := q.TryReceive(buf)
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, os.ErrClosed) {
				return // empty; or the program ends
			}
			if err != nil {
				log.Fatal(err)
			}
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
	if err := q.Notify(arrived); err != nil {
		log.Fatal(err)
	}
	drain() // what was there before the first registration is not announced

	const messages = 100
	served.Add(messages)
	for range messages {
		if err := q.Send(context.Background(), []byte("work"), 0); err != nil {
			log.Fatal(err)
		}
	}
	served.Wait()
	fmt.Println("served", messages)
	q.Close()
	// Output: served 100
}

// The program of the mq_notify(3) manual page: register a function, pause, and end when it has read one message.
func ExampleQueue_Notify_manualPage() {
	name := fmt.Sprintf("/example-manual-%d", os.Getpid())
	ended := make(chan struct{})

	// Function that the notification starts
	readOne := func(q *mq.Queue) {
		attr, err := q.Attr() // determine max. message size; allocate buffer to receive message
		if err != nil {
			log.Fatal("mq_getattr: ", err)
		}
		buf := make([]byte, attr.MsgSize)
		n, _, err := q.Receive(context.Background(), buf)
		if err != nil {
			log.Fatal("mq_receive: ", err)
		}
		fmt.Printf("Read %d bytes from MQ\n", n)
		close(ended) // exit(EXIT_SUCCESS)
	}

	q, err := mq.Open(name, os.O_RDONLY|os.O_CREATE, 0o600, &mq.Attr{MaxMsg: 1, MsgSize: 64})
	if err != nil {
		log.Fatal("mq_open: ", err)
	}
	defer q.Close()
	if err := q.Notify(func(mq.Event) { readOne(q) }); err != nil {
		log.Fatal("mq_notify: ", err)
	}

	sendTo(name, "hello") // another program's part
	<-ended               // pause()
	// Output: Read 5 bytes from MQ
}

// sendTo closes only after its send: a Close in the process that registered would end the registration.
func sendTo(name, text string) {
	q, err := mq.Open(name, os.O_WRONLY, 0, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	defer mq.Unlink(name)
	if err := q.Send(context.Background(), []byte(text), 0); err != nil {
		log.Fatal(err)
	}
}
