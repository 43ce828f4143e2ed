package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/pidfd"
	"daemonlab/lab/procfs"
)

// contestant is a program that serves POSIX queues. It returns when it is ready and writes its PID into a file.
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
	ours  = "ours"
	inC   = "C"
	raw   = "raw"
	sysv  = "System V"
	limit = 10 * time.Second // for a start and for an end
)

func (b *bench) daemon(program string) []string {
	return []string{b.path(program), "--root", b.path("files"), "--queue", b.queue, "--pidfile", b.path("pid"),
		"--log", b.path("log")}
}

// server is a contestant at work.
type server struct {
	*pidfd.Process
	bench *bench
	start float64 // seconds from its execution until it was ready
}

// start starts a contestant with so many threads, where it can be told. It is not interrupted by a context: a daemon
// that is half-way up could not be found.
func (b *bench) start(c contestant, threads int) (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := finished(ctx, b.path("start"), c.arguments(b, threads)...)
	if err != nil {
		return nil, err
	}
	s := &server{bench: b}
	if s.start, err = strconv.ParseFloat(strings.TrimSpace(out), 64); err != nil {
		return nil, err
	}
	pid, err := readPID(b.path("pid"))
	if err == nil {
		s.Process, err = pidfd.Open(pid)
	}
	return s, err
}

func readPID(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// end ends the server, by force if need be, and removes what it may leave.
func (s *server) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := s.Signal(unix.SIGTERM)
	if s.Wait(ctx) != nil {
		err = fmt.Errorf("the server did not end within %v of SIGTERM", limit)
		s.Signal(unix.SIGKILL)
		s.Wait(context.Background())
	}
	unix.Wait4(s.PID(), nil, 0, nil) // it was adopted
	mq.Unlink(s.bench.queue)
	os.Remove(s.bench.path("pid"))
	return errors.Join(err, s.Close())
}

// cpu is the processor time that all threads of the process have used, those that have ended too, in seconds. The
// clock is the one that clock_getcpuclockid(3) names: /proc/PID/stat has the same time in steps of 10 ms, and schedstat
// leaves out threads that have ended, of which a server with a thread for each request has many.
func (s *server) cpu() (float64, error) { return cpuOf(s.PID()) }

func cpuOf(pid int) (float64, error) {
	const schedulerClock = 2 // CPUCLOCK_SCHED of linux/posix-timers.h
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &t)
	return float64(t.Nano()) / 1e9, os.NewSyscallError("clock_gettime", err)
}

// size is what a server takes of the machine's memory, in MiB, and its threads.
func (s *server) size() (memory, threads float64, err error) {
	status, err := procfs.New("/proc").Process(s.PID()).Status()
	return float64(status.VmRSS) / (1 << 20), float64(status.Threads), err
}

func (b *bench) path(name string) string { return filepath.Join(b.work, name) }
