package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"daemonlab/lab/daemon"
	"daemonlab/lab/stdio"
)

// stopTimeout is the daemon's grace for transfers, with a margin.
const stopTimeout = 15 * time.Second

func status(pidFile string) error {
	pid, err := daemon.Running(pidFile)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("%w (%q)", daemon.ErrNotRunning, pidFile)
	}
	return stdio.Print(fmt.Sprintf("mqfiled is running as PID %d (%q)\n", pid, pidFile))
}

func stop(pidFile string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	pid, err := daemon.Stop(ctx, pidFile)
	if errors.Is(err, daemon.ErrNotRunning) {
		return fmt.Errorf("%w (%q)", err, pidFile)
	}
	if err != nil {
		return err
	}
	return stdio.Print(fmt.Sprintf("mqfiled, PID %d, has ended\n", pid))
}
