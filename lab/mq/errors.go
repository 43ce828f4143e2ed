//go:build linux

package mq

import (
	"context"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Error says which call failed on which queue. Err is the call's errno, [os.ErrClosed] or the context's error, all
// usable with errors.Is; the errnos also match os.ErrNotExist, os.ErrExist and os.ErrPermission. Callers may share one
// Error.
type Error struct {
	Op   string // "open", "send", "notify", ...
	Name string
	Err  error

	note string // adds to Err, with the figures at the time of the call
}

func newError(op, name string, err error) *Error { return &Error{Op: op, Name: name, Err: err} }

func (e *Error) Error() string { return "queue " + printable(e.Name) + ": " + e.Op + ": " + e.reason() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether a deadline ended the wait, for [os.IsTimeout] and [net.Error]: ETIMEDOUT or the context's.
// EAGAIN is not a timeout.
func (e *Error) Timeout() bool { return e.Err == unix.ETIMEDOUT || e.Err == context.DeadlineExceeded }

// Is makes every timeout match [os.ErrDeadlineExceeded].
func (e *Error) Is(target error) bool { return target == os.ErrDeadlineExceeded && e.Timeout() }

func (e *Error) reason() string {
	switch {
	case e.note != "":
		return e.note
	case e.Err == os.ErrClosed:
		return "the queue was closed"
	}
	errno, _ := e.Err.(unix.Errno)
	if text, ok := badName[errno]; ok && e.takesName() && errno == checkName(e.Name) {
		return text
	}
	if text, ok := plain[saying{e.Op, errno}]; ok {
		return text
	}
	return e.Err.Error()
}

func (e *Error) takesName() bool { return e.Op == "open" || e.Op == "unlink" }

// badName explains the errnos of checkName.
var badName = map[unix.Errno]string{
	unix.EINVAL:       "a name begins with a slash and has no NUL byte",
	unix.ENOENT:       "the name ends after the slash",
	unix.EACCES:       "a name has one slash, at its beginning, and is not /. or /..",
	unix.ENAMETOOLONG: "a name has at most 255 bytes after the slash",
}

// plain has texts for errnos whose strerror(3) is misleading here.
var plain = map[saying]string{
	{"open", unix.ENOENT}:       "no such queue",
	{"unlink", unix.ENOENT}:     "no such queue",
	{"open", unix.EEXIST}:       "the queue already exists",
	{"unlink", unix.EACCES}:     "the queue is another user's",
	{"inherit", unix.EBADF}:     "not the descriptor of a queue",
	{"send", unix.EAGAIN}:       "the queue is full",
	{"send", unix.ETIMEDOUT}:    "the queue stayed full until the deadline",
	{"send", unix.EBADF}:        "the queue was opened for receiving only",
	{"receive", unix.EAGAIN}:    "the queue is empty",
	{"receive", unix.ETIMEDOUT}: "the queue stayed empty until the deadline",
	{"receive", unix.EBADF}:     "the queue was opened for sending only",
	{"receive", unix.EINVAL}:    "the deadline is not a valid time",
	{"status", unix.EBADF}:      "the queue was opened for sending only",
	{"notify", unix.EBUSY}:      "another registration is in force",
	{"notify", unix.EINVAL}:     "no function, or no such signal",
}

type saying struct {
	op    string
	errno unix.Errno
}

// failure returns nil for errno 0.
func failure(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// printable quotes a name only if it would garble a line of text.
func printable(name string) string {
	if quoted := strconv.Quote(name); name == "" || quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
