package bursts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/parts"
)

// sender is the sending process. Like a C program, it blocks in the kernel.
type sender struct {
	Queue  string
	Number int
	Load   Load

	random  *rand.Rand
	numbers []uint32 // of the next message, by priority
}

const senderPart = "sender of bursts"

func init() {
	parts.Add(senderPart, func(args []string) error {
		var s sender
		if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
			return err
		}
		return s.play()
	})
}

// play opens the queue, then sends a round for each byte read and answers with a byte when it is done.
func (s *sender) play() error {
	s.random = rand.New(rand.NewPCG(s.Load.Seed, uint64(s.Number)))
	s.numbers = make([]uint32, s.Load.Priorities)
	q, err := mq.OpenBlocking(s.Queue, os.O_WRONLY, 0, nil)
	if err != nil {
		return err
	}
	defer q.Close()
	go endWithServer()
	signal := make([]byte, 1)
	for {
		if _, err := os.Stdout.Write(signal); err != nil {
			return err
		}
		if _, err := os.Stdin.Read(signal); err != nil {
			return nil // the server has finished
		}
		for range s.Load.Bursts {
			if err := s.burst(q); err != nil {
				return err
			}
		}
	}
}

// endWithServer ends this process with the server's, even while a thread sleeps on a full queue: poll(2) reports
// POLLERR once the pipe has no writer.
func endWithServer() {
	stdin := []unix.PollFd{{Fd: 0}}
	for {
		if _, err := unix.Poll(stdin, -1); err != unix.EINTR {
			os.Exit(0)
		}
	}
}

func (s *sender) burst(q *mq.Blocking) error {
	for range s.Load.Messages {
		spin(time.Duration(s.random.Int64N(int64(s.Load.Jitter) + 1)))
		prio := s.random.IntN(s.Load.Priorities)
		if err := q.Send(encode(s.Number, prio, s.numbers[prio]), uint(prio)); err != nil {
			return err
		}
		s.numbers[prio]++
	}
	return nil
}

// spin waits for less than a timer can.
func spin(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
	}
}

// processes is the server's view of the senders.
type processes struct {
	all  []*process
	done chan error // a sender has opened the queue, finished its round, or failed
}

type process struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers io.ReadCloser
	errors  strings.Builder
}

// launch starts the senders and returns when all have the queue open.
func launch(queue string, load Load) (*processes, error) {
	p := &processes{done: make(chan error, 2*load.Senders)} // per sender: one round, and its exit
	var err error
	for i := 0; i < load.Senders && err == nil; i++ {
		err = p.start(sender{Queue: queue, Number: i, Load: load})
	}
	for range p.all {
		err = errors.Join(err, <-p.done)
	}
	if err != nil {
		return nil, errors.Join(err, p.dismiss())
	}
	return p, nil
}

func (p *processes) start(s sender) error {
	text, marshal := json.Marshal(s)
	one := &process{cmd: parts.Command(senderPart, string(text))}
	one.cmd.Stderr = &one.errors
	var in, out error
	one.orders, in = one.cmd.StdinPipe()
	one.answers, out = one.cmd.StdoutPipe()
	if err := errors.Join(marshal, in, out); err != nil {
		return err
	}
	if err := one.cmd.Start(); err != nil {
		return err
	}
	p.all = append(p.all, one)
	go func() {
		for err := error(nil); err == nil; {
			_, err = one.answers.Read(make([]byte, 1))
			p.done <- err
		}
	}()
	return nil
}

// begin has every sender send a round.
func (p *processes) begin() error {
	for _, one := range p.all {
		if _, err := one.orders.Write([]byte{1}); err != nil {
			return err
		}
	}
	return nil
}

func (p *processes) kill() {
	for _, one := range p.all {
		one.cmd.Process.Kill()
	}
}

// dismiss ends the senders and returns their errors.
func (p *processes) dismiss() error {
	var all error
	for i, one := range p.all {
		one.orders.Close()
		if err := one.cmd.Wait(); err != nil {
			all = errors.Join(all, fmt.Errorf("sender %d: %w: %s", i, err, one.errors.String()))
		}
	}
	return all
}
