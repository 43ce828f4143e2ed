package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The clients are in C, so that they cost as little as possible of the two processors they often share with the server,
// and the same with every server.
//
//go:embed c/*.c c/bench.h
var sources embed.FS

// compileHelpers makes load, raw, slow and start in the directory.
func compileHelpers(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("gcc"); err != nil {
		return errors.New("no gcc on the PATH: the C solution and the clients of the loads are compiled with it")
	}
	if err := os.CopyFS(dir, sources); err != nil {
		return err
	}
	for _, name := range []string{"load", "raw", "slow", "start"} {
		cmd := exec.CommandContext(ctx, "gcc", "-std=gnu11", "-O2", "-Wall", "-Wno-unused-result", "-pthread",
			"-o", filepath.Join(dir, name), filepath.Join(dir, "c", name+".c"), "-lrt")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("gcc %s.c: %w\n%s", name, err, out)
		}
	}
	return nil
}

// patience bounds every load; one that takes so long hangs, since a request was lost.
const patience = 60 * time.Second

// noRoom is the exit status of a helper that may not make its queues.
const noRoom = 3

// helper prepares a program that is killed, with all that it has started, when the context ends. It is in a process
// group of its own, where a terminal's Ctrl-C does not reach it: this process has to end things in order.
func helper(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// finished runs a helper and returns what it printed; an error holds what it complained of.
func finished(ctx context.Context, program string, args ...string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := helper(limited, program, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("not done after %v, so a request seems to be lost", patience)
	}
	return string(out), explain(filepath.Base(program), err, said.String())
}

func explain(name string, err error, said string) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == noRoom:
		return fmt.Errorf("%s: %s: other processes of user %d hold message queues, and RLIMIT_MSGQUEUE counts them all; "+
			"end them, or run as another user", name, strings.TrimSpace(said), os.Getuid())
	}
	return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(said))
}
