package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	lab "daemonlab/lab/sysv"
)

// sysv times the System V server with its own client: the exchange is another one, so the clients of the other loads
// do not fit. A request is a run of the client, and the time of one is that of a process.
func (b *bench) sysv(ctx context.Context, _ int) (err error) {
	if reason := b.noSysV(); reason != "" {
		b.report.note("No column for the System V server: " + reason + ".")
		return nil
	}
	b.report.note("System V: with its own client, a process for each request, whose start is in the times.")
	key := lab.Key(0x62000000 | os.Getpid()&0xffffff)
	server, err := b.startSysV(key)
	if err != nil {
		return fmt.Errorf("%s: %w", sysv, err)
	}
	defer func() { err = errors.Join(err, endSysV(server, key)) }()
	for _, w := range works(b.quick) {
		if w.clients == 1 {
			if err := b.sysvLoad(ctx, key, w); err != nil {
				return fmt.Errorf("%s: %w", sysv, err)
			}
		}
	}
	return nil
}

func (b *bench) noSysV() string {
	for _, name := range []string{"svfiled", "svfile"} {
		if _, err := os.Stat(b.path(name)); errors.Is(err, fs.ErrNotExist) {
			return "its programs in lab/sysv do not build"
		}
	}
	if _, err := lab.Queues(); errors.Is(err, unix.ENOSYS) {
		return "this kernel has no System V queues"
	}
	return ""
}

// startSysV starts the server, which stays in the foreground, and waits for the line that it prints when it serves.
func (b *bench) startSysV(key lab.Key) (*exec.Cmd, error) {
	cmd := helper(context.Background(), b.path("svfiled"), "--root", b.path("files"), "--key", key.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	kill := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("it does not say that it serves: %w", err), endSysV(cmd, key))
	}
	return cmd, nil
}

func endSysV(server *exec.Cmd, key lab.Key) error {
	server.Process.Signal(unix.SIGTERM)
	kill := time.AfterFunc(limit, func() { server.Process.Kill() })
	defer kill.Stop()
	err := server.Wait()
	if q, getErr := lab.Get(key, 0, 0); getErr == nil {
		err = errors.Join(err, q.Remove())
	}
	return err
}

// sysvLoad runs the client as often as the load has requests, but not for too long.
func (b *bench) sysvLoad(ctx context.Context, key lab.Key, w work) error {
	const enough = 100
	var times []float64
	for range min(w.requests, enough) {
		begin := time.Now()
		if err := b.svfile(ctx, key, strconv.Itoa(w.bytes)); err != nil {
			return err
		}
		times = append(times, time.Since(begin).Seconds())
	}
	slices.Sort(times)
	o := outcome{requests: len(times), bytes: len(times) * w.bytes, p50: times[len(times)/2] * 1e6,
		p99: times[len(times)*99/100] * 1e6}
	for _, t := range times {
		o.took += t
	}
	for _, r := range w.figures {
		if r.unit != "ms" && r.unit != "s" { // its children's processor time is not known
			b.report.figure(r.name, r.unit, r.better).add(sysv, r.of(o))
		}
	}
	return nil
}

// svfile fetches a file and throws it away.
func (b *bench) svfile(ctx context.Context, key lab.Key, path string) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := helper(limited, b.path("svfile"), "--key", key.String(), path)
	var said strings.Builder
	cmd.Stderr = &said
	return explain("svfile", cmd.Run(), said.String())
}
