package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/log"
	"daemonlab/lab/wire"
)

//lab:begin transfer protocol errors leaks

// answer answers a request: INFO, DATA, END, or FAILURE.
func (s *server) answer(r wire.Request) {
	defer func() { <-s.slots }()
	begin := time.Now()
	reply, err := s.openReply(r)
	if err != nil {
		s.drop(err)
		return
	}
	defer reply.close()
	sent, err := s.sendFile(reply, r.Path)
	if err != nil {
		reply.fail(r.Path, err)
	}
	s.logAnswer(r, sent, time.Since(begin).Round(time.Microsecond), err)
}

func (s *server) logAnswer(r wire.Request, sent int64, took time.Duration, err error) {
	if err != nil {
		s.log.Boundedf("failed %s to %s, PID %d: %d bytes in %v: %v", log.Outside(r.Path), log.Outside(r.Reply), r.PID, sent, took, err)
		return
	}
	s.log.Boundedf("sent %s to %s, PID %d: %d bytes in %v", log.Outside(r.Path), log.Outside(r.Reply), r.PID, sent, took)
}

var errShrunk = errors.New("the file shrank while it was being sent")

// leasePause is the time between attempts to open a file under a lease.
const leasePause = 20 * time.Millisecond

// open waits up to --stall for the holder of a lease to give it up; the kernel breaks it after
// /proc/sys/fs/lease-break-time, see fcntl(2).
func (s *server) open(reply *reply, path string) (file, error) {
	for begin := time.Now(); ; {
		f, err := s.root.open(path)
		if !errors.Is(err, unix.EAGAIN) || time.Since(begin) > s.Stall {
			return f, err
		}
		if err := reply.pause(leasePause); err != nil {
			return f, err
		}
	}
}

// sendFile sends as many bytes as the file had when it was opened, and returns how many were sent. It reads the
// beginning before INFO wakes the client, so that a small file is complete when the client asks for DATA.
func (s *server) sendFile(reply *reply, path string) (sent int64, err error) {
	f, err := s.open(reply, path)
	if err != nil {
		return 0, err
	}
	defer f.close()
	if !reply.holds(f.size) {
		if err := reply.handOver(); err != nil {
			return 0, err
		}
	}
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	buf := b.messages(reply.msgSize)
	n, err := f.read(buf, 0)
	if err != nil {
		return 0, err
	}
	var info [wire.InfoSize]byte
	if err := reply.send(wire.AppendInfo(info[:0], uint64(f.size)), wire.Info); err != nil {
		return 0, err
	}
	for n > 0 {
		if err := reply.sendData(buf[:n]); err != nil {
			return sent, err
		}
		if sent += int64(n); sent == f.size {
			break
		}
		if err := context.Cause(s.ctx); err != nil {
			return sent, err
		}
		if n, err = f.read(buf, sent); err != nil {
			return sent, err
		}
	}
	return sent, reply.send(nil, wire.End)
}

//lab:end
