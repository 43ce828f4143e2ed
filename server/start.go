package main

import (
	"errors"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
	"daemonlab/lab/mq"
)

// What the daemon tells the original of, as in "queue:/mqfiled".
const (
	madeQueue   = "queue:"
	madePIDFile = "pidfile:"
)

// unmake removes in the original process what a daemon left that did not get ready.
func unmake(name string) {
	//lab:begin failure
	if queue, ok := strings.CutPrefix(name, madeQueue); ok && !isServed(queue) {
		mq.Unlink(queue)
	}
	if path, ok := strings.CutPrefix(name, madePIDFile); ok {
		daemon.RemoveStalePIDFile(path)
	}
	//lab:end
}

//lab:begin

// isServed reports whether another server has taken over the queue meanwhile.
func isServed(queue string) bool {
	q, err := mq.OpenBlocking(queue, unix.O_RDONLY, 0, nil)
	if err != nil {
		return false
	}
	defer q.Close()
	status, err := q.Status()
	return err == nil && status.Registered()
}

//lab:end

// starter is whom the server tells how its start goes: the original process, or a service manager.
type starter interface {
	Made(name string) error
	Ready(crash *os.File) error // crash gets the text of a crash from now on; nil: stderr has it
}

// serveAsDaemon is the body of the System V daemon.
func serveAsDaemon(d *daemon.Daemon) error {
	var c config
	if err := d.Config(&c); err != nil {
		return err
	}
	return serve(c, d, openSyslog)
}

// serviceManager is the starter of a new-style daemon. It learns of a failed start from the exit status.
type serviceManager struct{}

func (serviceManager) Made(string) error { return nil }
func (serviceManager) Ready(crash *os.File) error {
	if err := debug.SetCrashOutput(crash, debug.CrashOptions{}); err != nil {
		return err
	}
	return daemon.NotifySystemd("READY=1")
}

func serveInForeground(c config) error {
	return serve(c, serviceManager{}, func() (sink, error) { return stderrLog{}, nil })
}

// serve is the server's life. What root alone may do comes first, the PID file and the log, and everything that
// clients meet is made by the account: the queue is its own, the root is what it can enter.
func serve(c config, st starter, defaultLog func() (sink, error)) error {
	account, err := accountFor(c.User)
	if err != nil {
		return err
	}
	//lab:begin pidfile instance
	pidFile, err := daemon.LockPIDFile(c.PIDFile)
	if err != nil {
		return err
	}
	undo := pidFile.Abandon
	defer func() { undo() }()
	if pidFile.Created() {
		if err := st.Made(madePIDFile + c.PIDFile); err != nil {
			return err
		}
	}
	//lab:end
	if c.Log != "" {
		defaultLog = logFileAt(c.Log, account)
	}
	log, err := openLog(defaultLog)
	if err != nil {
		return err
	}
	defer log.close()
	//lab:begin privileges ready failure sighup sigterm
	//lab:instead log.printf("serving %s on queue %s", outside(c.Root), outside(c.Queue))
	//lab:instead for {
	//lab:instead 	unix.Pause()
	//lab:instead }
	if account != nil {
		if err := account.Become(); err != nil {
			return err
		}
	}
	signals := catchSignals()
	s, err := startServer(c, st, log)
	if err != nil {
		return err
	}
	defer s.close()
	undo = pidFile.Remove
	log.printf("ready: serving %s on queue %s, user %d", outside(c.Root), outside(c.Queue), os.Getuid())
	s.handleSignals(signals)
	s.stop()
	return nil
	//lab:end
}

// accountFor is the account to become: none unless root starts the server.
func accountFor(user string) (*daemon.Account, error) {
	if unix.Geteuid() != 0 {
		return nil, nil
	}
	account, err := daemon.LookupAccount(user)
	if err != nil {
		return nil, err
	}
	return &account, nil
}

//lab:begin

// startServer returns a server that serves, when its starter has been told.
func startServer(c config, st starter, log *logger) (_ *server, err error) {
	s, err := newServer(c, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.ownsQueue {
		if err := st.Made(madeQueue + c.Queue); err != nil {
			return nil, err
		}
	}
	err = s.start()
	if errors.Is(err, unix.EBUSY) && isStrangers(s.queue.Load()) {
		err = s.startAnew(st)
	}
	if err != nil {
		return nil, err
	}
	if err := st.Ready(log.crashFile()); err != nil {
		return nil, err
	}
	s.ownsQueue = true
	return s, nil
}

//lab:end
