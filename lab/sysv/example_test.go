package sysv_test

import (
	"fmt"

	"daemonlab/lab/sysv"
)

// A queue without a key, whose number another process could be told. The receiver chooses by type.
func Example() {
	q, err := sysv.Get(sysv.Private, sysv.Create|sysv.Exclusive, 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Remove() // nobody else does

	for _, m := range []struct {
		mtype int
		text  string
	}{{3, "first"}, {1, "second"}, {2, "third"}} {
		if err := q.Send(m.mtype, []byte(m.text), 0); err != nil {
			fmt.Println(err)
		}
	}
	buf := make([]byte, 100)
	for _, selector := range []int{0, -2, 2} {
		n, mtype, err := q.Receive(buf, selector, sysv.NoWait)
		fmt.Printf("selector %2d: type %d, %s, %v\n", selector, mtype, buf[:n], err)
	}
	// Output:
	// selector  0: type 3, first, <nil>
	// selector -2: type 1, second, <nil>
	// selector  2: type 2, third, <nil>
}
