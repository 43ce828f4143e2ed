//lab:give

package daemon

import (
	"os"
	"path/filepath"
	"runtime"
)

// /proc/PID/status shows a daemon's first thread. os/signal keeps one thread with nearly every signal blocked, any free
// one; holding the main goroutine on the first thread keeps os/signal off it.
func init() {
	runtime.LockOSThread()
}

// Continue runs the daemon if this process is the daemon, and then does not return. In the original process, the one
// that a user started, it returns at once. Call it first in main.
//
// In the daemon, body runs in its own goroutine, with standard streams, umask and working directory as step 7 requires.
// It calls [Daemon.Ready] when it can serve. An error that it returns before that is reported by the original process;
// later an error only sets the exit status.
func Continue(body func(*Daemon) error) {
	config, ok, err := inheritedConfig()
	switch {
	case err != nil:
		// Do not fall through to main: it would start another daemon.
		report(inheritedPipe(), err)
		os.Exit(1)
	case ok:
		os.Exit(run(config, body))
	}
}

// run runs the daemon and returns its exit status.
func run(config []byte, body func(*Daemon) error) int {
	d := &Daemon{config: config, pipe: inheritedPipe()}
	if err := attributes(); err != nil {
		report(d.pipe, err)
		return 1
	}
	d.reportCrashes()
	result := make(chan error, 1)
	go func() { result <- body(d) }()
	if err := <-result; err != nil {
		report(d.pipe, err)
		return 1
	}
	return 0
}

// attributes sets what step 7 requires of every daemon.
func attributes() error {
	// The main thread's name, which ps(1) shows, is "exe" after the exec of /proc/self/exe.
	os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	if err := connectStdio(); err != nil {
		return err
	}
	resetUmask()
	return changeDirectory()
}
