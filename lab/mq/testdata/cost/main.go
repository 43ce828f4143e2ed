//go:build linux

// Cost prints what a queue of one message of one byte costs.
package main

import (
	"fmt"

	"daemonlab/lab/mq"
)

func main() { fmt.Print(mq.Cost(1, 1)) }
