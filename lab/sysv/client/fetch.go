package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"daemonlab/lab/sysv"
	"daemonlab/lab/sysv/wire"
)

// patience is how long the server may do nothing: neither make room for the request nor send the next response.
const patience = 10 * time.Second

// tally is what a transfer brought.
type tally struct{ bytes, messages int64 }

// fetch makes one whole exchange. What can fail on this side does so before the server is asked to work.
func fetch(o options) (tally, error) {
	server, err := sysv.Get(o.key, 0, 0)
	if err != nil {
		return tally{}, fmt.Errorf("%w: %w", errNoServer, err)
	}
	out, err := openOutput(o.output)
	if err != nil {
		return tally{}, err
	}
	reply, err := makeReply()
	if err != nil {
		return tally{}, err
	}
	request, err := wire.Request{Queue: reply.ID(), Path: o.path}.Append(nil)
	if err != nil {
		return tally{}, err
	}
	if err := patiently(func() error { return server.Send(wire.RequestType, request, 0) }); err != nil {
		return tally{}, fmt.Errorf("%w: %w", errNoServer, err)
	}
	got, err := receive(reply, out)
	if reason, failed := errors.AsType[failure](err); failed {
		return got, fmt.Errorf("%s: %w", o.path, reason)
	}
	if err != nil {
		return got, err
	}
	return got, out.commit()
}

// silence ends the process when the server has been silent for too long.
var silence *time.Timer

// patiently makes a call that waits for the server. Neither msgsnd(2) nor msgrcv(2) has a timeout, so a wait that lasts
// too long ends with the process.
func patiently(call func() error) error {
	if silence == nil {
		silence = time.AfterFunc(patience, giveUp)
	} else {
		silence.Reset(patience)
	}
	defer silence.Stop()
	return call()
}

func giveUp() { fail(fmt.Errorf("%w: nothing from it for %v", errNoServer, patience)) }

// makeReply makes the queue for the responses, which exit removes.
func makeReply() (sysv.Queue, error) {
	leftovers.mu.Lock()
	defer leftovers.mu.Unlock()
	q, err := sysv.Get(sysv.Private, sysv.Create|sysv.Exclusive, wire.QueueMode)
	if err == nil {
		leftovers.queue = &q
	}
	return q, err
}

// failure is the reason that the server has given.
type failure string

func (f failure) Error() string { return string(f) }

// receive takes responses until one ends the exchange.
func receive(reply sysv.Queue, out *output) (got tally, err error) {
	l, err := sysv.SystemLimits()
	if err != nil {
		return got, err
	}
	buf := make([]byte, l.MsgMax)
	for {
		var n, kind int
		err := patiently(func() (err error) {
			n, kind, err = reply.Receive(buf, -wire.End, 0)
			return err
		})
		if err != nil {
			return got, err
		}
		switch kind {
		case wire.Failure:
			return got, failure(buf[:n])
		case wire.End:
			return got, nil
		}
		if _, err := out.file.Write(buf[:n]); err != nil {
			return got, out.failed(err)
		}
		got.bytes += int64(n)
		got.messages++
	}
}

// output is where the file's bytes go.
type output struct {
	file   *os.File
	name   string // as the user knows it
	target string // what the new file is renamed to at the end; "" when the bytes go straight to their place
}

// openOutput opens stdout for "", a device or FIFO itself, and for everything else a new file beside it, so that the
// file appears whole or not at all.
func openOutput(name string) (*output, error) {
	if name == "" {
		return &output{file: os.Stdout, name: "stdout"}, nil
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &output{file: f, name: name}, err
	}
	out := &output{name: name, target: name}
	leftovers.mu.Lock()
	defer leftovers.mu.Unlock()
	temporary := fmt.Sprintf("%s.svfile-%d", name, os.Getpid())
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, out.failed(err)
	}
	out.file, leftovers.file = f, temporary
	return out, nil
}

// commit gives the file its name, when all its bytes were taken.
func (o *output) commit() error {
	if err := o.file.Close(); err != nil {
		return o.failed(err)
	}
	if o.target == "" {
		return nil
	}
	leftovers.mu.Lock()
	defer leftovers.mu.Unlock()
	if err := os.Rename(leftovers.file, o.target); err != nil {
		return o.failed(err)
	}
	leftovers.file = ""
	return nil
}

// failed names the user's file instead of the one beside it.
func (o *output) failed(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return fmt.Errorf("%s: %w", o.name, err)
}
