package main

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/daemon"
	"daemonlab/lab/mq"
	"daemonlab/lab/wire"
)

//lab:begin sighup sigterm

const (
	// grace is how long transfers may continue after SIGTERM.
	grace = 5 * time.Second
	// cutTime is how long transfers that are cut have to send FAILURE.
	cutTime = 500 * time.Millisecond
)

// catchSignals uses a channel of its own for the signals that end the server: os/signal drops what a channel has no
// room for, and many a SIGHUP may arrive while a slow disk opens the log.
func catchSignals() (end, hangup chan os.Signal) {
	end, hangup = make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	signal.Notify(hangup, unix.SIGHUP)
	return end, hangup
}

// awaitEnd returns when the server must end.
func (s *server) awaitEnd(end <-chan os.Signal) {
	every := time.NewTicker(checkPeriod)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			s.checkQueue()
		case sig := <-end:
			s.log.Printf("%v: stopping", sig)
			return
		}
	}
}

// reopenLog runs in a goroutine of its own: a disk that hangs blocks open(2), and SIGTERM must still end the server.
func (s *server) reopenLog(hangup <-chan os.Signal) {
	for range hangup {
		if err := s.log.Reopen(); err != nil {
			s.log.Printf("SIGHUP: log not reopened: %v", err)
		} else {
			s.log.Printf("SIGHUP: log reopened")
		}
	}
}

// stop ends the service: no more requests are taken, waiting ones are refused, and transfers have the grace period to
// finish.
func (s *server) stop() {
	daemon.NotifySystemd("STOPPING=1")
	s.stopping.Store(true)
	s.unlinkQueue()
	s.refuse(s.takeRest())
	if running := s.waitForTransfers(cap(s.slots), grace); running > 0 {
		s.cut(errStopping)
		s.waitForTransfers(running, cutTime)
	}
	s.refuse(s.takeRest()) // sent by clients that still had the queue open
	s.log.Printf("stopped")
}

// unlinkQueue removes the queue's name, once: afterwards it may be a successor's. A queue that already existed stays
// until this server is ready to serve its requests, and one that somebody unlinked may have a successor by now.
func (s *server) unlinkQueue() {
	if s.ownsQueue {
		if st, err := s.queue.Load().Stat(); err == nil && st.Nlink > 0 {
			mq.Unlink(s.Queue)
		}
		s.ownsQueue = false
	}
}

// refuse answers requests that came too late, so that no client waits for a server that has ended.
func (s *server) refuse(requests []wire.Request) {
	for _, r := range requests {
		if reply, err := s.openReply(r); err == nil {
			reply.fail(r.Path, errStopping)
			reply.close()
		}
	}
}

// waitForTransfers takes n slots, and with them the right to start transfers. It returns how many it did not get in
// time: the transfers still running.
func (s *server) waitForTransfers(n int, limit time.Duration) int {
	timeout := time.After(limit)
	for ; n > 0; n-- {
		select {
		case s.slots <- struct{}{}:
		case <-timeout:
			return n
		}
	}
	return 0
}

//lab:end
