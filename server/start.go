package main

import (
	"errors"
	"os"
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
	if queue, ok := strings.CutPrefix(name, madeQueue); ok && !hasServer(queue) {
		mq.Unlink(queue)
	}
	if path, ok := strings.CutPrefix(name, madePIDFile); ok {
		daemon.RemoveStalePIDFile(path)
	}
	//lab:end
}

//lab:begin

// hasServer tells whether the queue of that name is another server's by now.
func hasServer(queue string) bool {
	q, err := mq.OpenBlocking(queue, unix.O_RDONLY, 0, nil)
	if err != nil {
		return false
	}
	defer q.Close()
	return isServed(q)
}

//lab:end

// starter is whom the server tells how its start goes: the original process, or a service manager.
type starter interface {
	Made(name string) error
	Ready() error
}

// serveAsDaemon is the body of the System V daemon.
func serveAsDaemon(d *daemon.Daemon) error {
	var c config
	if err := d.Config(&c); err != nil {
		return err
	}
	//lab:begin
	if err := becomeNice(c.Nice, c.Starter); err != nil {
		return err
	}
	//lab:end
	return serve(c, d, openSyslog)
}

// serviceManager is the starter of a new-style daemon. It learns of a failed start from the exit status.
type serviceManager struct{}

func (serviceManager) Made(string) error { return nil }
func (serviceManager) Ready() error      { return daemon.NotifySystemd("READY=1") }

func serveInForeground(c config) error {
	//lab:begin
	if c.Nice != nil { // the session is the starter's
		if err := setNice(*c.Nice); err != nil {
			return err
		}
	}
	//lab:end
	return serve(c, serviceManager{}, stderrLog)
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
	defer pidFile.Remove()
	if pidFile.Created() {
		if err := st.Made(madePIDFile + c.PIDFile); err != nil {
			return err
		}
	}
	socket, socketErr := listenForStatus(c.PIDFile)
	if socketErr == nil {
		defer socket.Close()
	}
	//lab:end
	if c.Log != "" {
		defaultLog = logFileOf(c.Log, account)
	}
	log, err := openLog(defaultLog)
	if err != nil {
		return err
	}
	defer log.close()
	//lab:begin privileges ready failure sighup sigterm
	//lab:instead log.printf("serving %s on %s", c.Root, c.Queue)
	//lab:instead for {
	//lab:instead 	unix.Pause()
	//lab:instead }
	if socketErr != nil {
		log.printf("--status will show no counters: %v", socketErr)
	}
	if account != nil {
		if err := account.Become(); err != nil {
			return err
		}
	}
	return serveQueue(c, st, log, socket)
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

// serveQueue serves until SIGTERM or SIGINT. Without a socket it reports to nobody.
func serveQueue(c config, st starter, log *logger, socket *os.File) error {
	signals := catchSignals()
	if err := becomeBatch(); err != nil {
		log.printf("serves less under load: %v", err)
	}
	s, err := newServer(c, log)
	if err != nil {
		return err
	}
	defer s.close()
	if s.ownsQueue {
		if err := st.Made(madeQueue + c.Queue); err != nil {
			return err
		}
	}
	err = s.start()
	if errors.Is(err, unix.EBUSY) && !isServed(s.queue.Load()) {
		err = s.startAnew(st, err)
	}
	if err != nil {
		return err
	}
	if err := st.Ready(); err != nil {
		return err
	}
	s.ownsQueue = true
	if socket != nil {
		go s.answerStatus(socket)
	}
	log.printf("ready: serving %s on queue %s, user %d", c.Root, c.Queue, os.Getuid())
	s.handleSignals(signals)
	s.stop()
	return nil
}

//lab:end
