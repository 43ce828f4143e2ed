package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
)

// contestant is a program that serves POSIX queues. It returns when it is ready, and writes its PID into a file.
type contestant struct {
	name      string
	arguments func(b *bench, threads int) []string // the program first
}

var contestants = []contestant{
	{ours, func(b *bench, _ int) []string { return b.daemon("ours") }},
	{inC, func(b *bench, _ int) []string { return b.daemon("c/mqfiled") }},
	{raw, func(b *bench, threads int) []string {
		return []string{b.path("raw"), b.queue, b.path("pid"), strconv.Itoa(threads)}
	}},
}

// Names of contestants, in tables and JSON.
const (
	ours = "ours"
	inC  = "C"
	raw  = "raw"
	sysv = "System V"
)

func (b *bench) daemon(program string) []string {
	return []string{b.path(program), "--root", b.path("files"), "--queue", b.queue, "--pidfile", b.path("pid"),
		"--log", b.path("log")}
}

// server is a running contestant.
type server struct {
	*pidfd.Process
	start float64 // seconds from exec to ready
}

// with starts a contestant, with the given number of threads if it takes one, and ends it after f. No context
// interrupts a start: a daemon that is half-way up could not be found.
func (b *bench) with(c contestant, threads int, f func(*server) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := c.arguments(b, threads)
	took, err := b.finish(ctx, nil, args[0], args[1:]...)
	if err != nil {
		return err
	}
	s := &server{start: took.Seconds()}
	var pid int
	text, err := os.ReadFile(b.path("pid"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &pid)
	}
	if err != nil {
		return fmt.Errorf("PID file: %w", err)
	}
	if s.Process, err = pidfd.Open(pid); err != nil {
		return err
	}
	defer s.Close()
	err = f(s)
	return errors.Join(err, b.end(s))
}

// end ends the server, by SIGKILL if necessary, and removes what it may leave.
func (b *bench) end(s *server) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.Signal(unix.SIGTERM)
	if s.Wait(ctx) != nil {
		err = fmt.Errorf("the server did not end within %v of SIGTERM", limit)
		s.Signal(unix.SIGKILL)
		s.Wait(context.Background())
	}
	unix.Wait4(s.PID(), nil, 0, nil) // adopted
	mq.Unlink(b.queue)
	os.Remove(b.path("pid"))
	return err
}

// timeStart measures the start of a server.
func (b *bench) timeStart(c contestant) error {
	if c.name == raw {
		return nil
	}
	return b.with(c, 1, func(s *server) error {
		b.report.add(key{Name: "start to ready", Unit: "ms", Better: "lower"}, c.name, s.start*1e3)
		return nil
	})
}

// cpuOf returns the CPU time used by all threads of a process, including those that have ended, in seconds. It reads
// the clock of clock_getcpuclockid(3): /proc/PID/stat has the same time in steps of 10 ms, and schedstat omits threads
// that have ended, of which a thread-per-request server has many.
func cpuOf(pid int) (float64, error) {
	const schedulerClock = 2 // CPUCLOCK_SCHED of linux/posix-timers.h
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &t)
	return float64(t.Nano()) / 1e9, os.NewSyscallError("clock_gettime", err)
}

// size returns a server's resident memory, in MiB, and its threads.
func (s *server) size() (memory, threads float64, err error) {
	status, err := procfs.New("/proc").Process(s.PID()).Status()
	return float64(status.VmRSS) / (1 << 20), float64(status.Threads), err
}
