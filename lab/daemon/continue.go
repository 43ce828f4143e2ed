//lab:give

package daemon

import (
	"os"
	"path/filepath"
	"runtime"
)

// The first thread of a daemon is what /proc/PID/status shows. os/signal keeps one thread with nearly every signal
// blocked, and it takes whichever is free; holding the main goroutine on the first thread keeps it off there.
func init() {
	runtime.LockOSThread()
}

// Continue runs the daemon if this process is the daemon, and does not return then. In the original process, the one
// that a user started, it returns at once. Call it first in main.
//
// In the daemon, body runs in a goroutine of its own, with standard streams, umask and working directory as step 7
// wants them. It calls [Daemon.Ready] when it can serve. An error that it returns before that is reported by the
// original process; later an error only sets the exit status.
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

// attributes sets what step 7 asks of every daemon.
func attributes() error {
	// What ps(1) shows, the main thread's name, is "exe" after the exec of /proc/self/exe.
	os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
	if err := connectStdio(); err != nil {
		return err
	}
	resetUmask()
	return changeDirectory()
}
