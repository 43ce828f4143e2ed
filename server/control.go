package main

import (
	"context"
	"fmt"
	"time"

	"daemonlab/lab/daemon"
)

// stopTimeout leaves a daemon the time that it gives its transfers, and some more.
const stopTimeout = 15 * time.Second

func status(pidFile string) error {
	pid, err := daemon.Running(pidFile)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("%w (%s)", daemon.ErrNotRunning, pidFile)
	}
	fmt.Printf("mqfiled runs as PID %d (%s)\n", pid, pidFile)
	report, err := askForReport(pidFile, pid)
	if err != nil {
		report = fmt.Sprintf("  no counters: %v\n", err)
	}
	fmt.Print(report)
	return nil
}

func stop(pidFile string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	pid, err := daemon.Stop(ctx, pidFile)
	if err != nil {
		return fmt.Errorf("%w (%s)", err, pidFile)
	}
	fmt.Printf("mqfiled, PID %d, has ended\n", pid)
	return nil
}
