//lab:give

package daemon

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// The first thread of a daemon is what /proc/PID/status shows. os/signal keeps one thread with nearly every signal
// blocked, and it takes whichever is free; holding the main goroutine on the first thread keeps it off there.
func init() {
	runtime.LockOSThread()
}

// Continue is the daemon's life when the process is the daemon, and does not return then. In the original process, the
// one that a user started, it returns at once. Call it first in main.
//
// In the daemon, body runs in a goroutine of its own, with standard streams, umask and working directory as step 7
// wants them. It calls [Daemon.Ready] when it can serve. What it returns before that is told to the user by the
// original process; later it only decides the exit status.
func Continue(body func(*Daemon) error) {
	config, ok, err := inheritedConfig()
	switch {
	case err != nil:
		// Never on to main from here: the process would be an original again, and start the next one.
		os.Exit(1)
	case ok:
		os.Exit(run(config, body))
	}
}

// run is the daemon's life.
func run(config []byte, body func(*Daemon) error) int {
	d := &Daemon{config: config, pipe: inheritedPipe()}
	d.reportCrashes()
	if err := attributes(); err != nil {
		report(d.pipe, err)
		return 1
	}
	result := make(chan error, 1)
	go func() { result <- body(d) }()
	if err := <-result; err != nil {
		report(d.pipe, err)
		return 1
	}
	return 0
}

// attributes gives the process what step 7 asks of every daemon.
func attributes() error {
	catchFileSizeLimit()
	if err := restoreName(); err != nil {
		return err
	}
	if err := connectStdio(); err != nil {
		return err
	}
	resetUmask()
	return changeDirectory()
}

// restoreName undoes what the exec of /proc/self/exe did to the name that ps(1) shows, which had become "exe". Each
// thread has a name.
func restoreName() error {
	name := filepath.Base(os.Args[0])
	return EachThread(func(tid int) error {
		if err := nameThread(tid, name); err != nil {
			return fmt.Errorf("name thread %d: %w", tid, err)
		}
		return nil
	})
}

// nameThread goes without package os, whose poller would be asked in vain to watch the file.
func nameThread(tid int, name string) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/task/%d/comm", tid), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(name))
	return err
}

// catchFileSizeLimit makes a write beyond RLIMIT_FSIZE fail with EFBIG. SIGXFSZ's default is to kill the process, and
// a log file that has grown to a limit of the starter must not end a server.
func catchFileSizeLimit() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGXFSZ)
}
