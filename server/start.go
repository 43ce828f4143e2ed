package main

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
	"daemonlab/lab/log"
	"daemonlab/lab/mq"
)

// What the daemon reports to the original as made, as in "queue:/mqfiled".
const (
	madeQueue   = "queue:"
	madePIDFile = "pidfile:"
)

// unmake removes, in the original process, what a daemon that failed to get ready left behind.
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

// starter is told how the start goes: the original process, or a service manager.
type starter interface {
	Made(name string) error
	Ready(catchCrashes func() error) error
}

// serveAsDaemon is the body of the System V daemon.
func serveAsDaemon(d *daemon.Daemon) error {
	var c config
	if err := d.Config(&c); err != nil {
		return err
	}
	return serve(c, d, log.Syslog("mqfiled"))
}

// serviceManager is a new-style daemon's starter. It learns of a failed start from the exit status.
type serviceManager struct{}

func (serviceManager) Made(string) error { return nil }
func (serviceManager) Ready(catchCrashes func() error) error {
	if err := catchCrashes(); err != nil {
		return err
	}
	return daemon.NotifySystemd("READY=1")
}

// serve is the server's life. What only root may do, the PID file and the log, comes first; everything that clients
// meet is made by the account, so that it owns the queue and the root is a directory it can enter.
func serve(c config, st starter, openLog func() (log.Sink, error)) (err error) {
	account := daemon.Account{UID: os.Getuid(), GID: os.Getgid()}
	isRoot := unix.Geteuid() == 0
	if isRoot {
		if account, err = daemon.LookupAccount(c.User); err != nil {
			return err
		}
	}
	//lab:begin sighup sigterm
	end, hangup := catchSignals() // before the PID file names a process to signal
	//lab:end
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
		openLog = log.File(c.Log, account.UID, account.GID)
	}
	logger, err := log.Open("mqfiled", openLog)
	if err != nil {
		return err
	}
	defer logger.Close()
	//lab:begin privileges ready failure sighup sigterm
	//lab:instead logger.Printf("serving %s on queue %s", log.Outside(c.Root), log.Outside(c.Queue))
	//lab:instead for {
	//lab:instead 	unix.Pause()
	//lab:instead }
	if isRoot {
		if err := account.Become(); err != nil {
			return err
		}
	}
	s, err := newServer(c, logger)
	if err != nil {
		return err
	}
	defer s.unlinkQueue()
	if err := s.start(st); err != nil {
		return err
	}
	undo = pidFile.Remove
	logger.Printf("ready: serving %s on queue %s, user %d", log.Outside(c.Root), log.Outside(c.Queue), os.Getuid())
	go s.reopenLog(hangup)
	s.awaitEnd(end)
	s.stop()
	return nil
	//lab:end
}

//lab:begin

// start begins service, then tells the starter.
func (s *server) start(st starter) error {
	if s.ownsQueue {
		if err := st.Made(madeQueue + s.Queue); err != nil {
			return err
		}
	}
	// A stranger may have registered on a leftover queue: the first request ends that, and checkQueue registers.
	if err := s.serve(); err != nil && !(errors.Is(err, unix.EBUSY) && isStrangers(s.queue.Load())) {
		return err
	}
	if err := st.Ready(s.log.CatchCrashes); err != nil {
		return err
	}
	s.ownsQueue = true
	return nil
}

//lab:end
