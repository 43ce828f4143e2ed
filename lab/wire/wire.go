// Package wire is the format of the messages between client and server.
//
// A request is this C structure in native byte order, sent up to and including the NUL of path:
//
//	struct request { int32_t pid; char reply[256]; char path[4096]; };
//
// A response is a bare body; its type travels as the message's priority, the way System V used mtype. A POSIX queue
// delivers the highest priority first, so a type that must not overtake another needs the lower number: End is below
// Data.
package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"daemonlab/lab/mq"
)

// The types of a response, used as message priorities.
const (
	End     uint = 1 // empty body: the file is complete
	Data    uint = 2 // the next bytes of the file
	Failure uint = 3 // UTF-8 text: why the exchange ends
	Info    uint = 4 // the file's size in bytes, uint64
)

// Sizes in bytes, counting the NULs.
const (
	replySize = 256
	pathSize  = 4096

	replyOffset = 4
	pathOffset  = replyOffset + replySize

	// RequestSize is the length of the longest request: the message size of a request queue.
	RequestSize = pathOffset + pathSize
	// InfoSize is the length of an Info response's body.
	InfoSize = 8
	// MinMsgSize is the smallest allowed message size of a reply queue.
	MinMsgSize = 256
)

const (
	// DefaultQueue is the request queue used unless --queue names another.
	DefaultQueue = "/mqfiled"
	// QueueMode is the mode of request and reply queues: the owner reads, anybody may send.
	QueueMode = 0o622
)

// ErrMalformed is matched by every error of ParseRequest and ParseInfo.
var ErrMalformed = errors.New("malformed message")

// Request asks a server for one file.
type Request struct {
	PID   int32  // of the client, in the client's PID namespace
	Reply string // the client's own queue: "/NAME"
	Path  string // the file, below the server's root
}

// Append appends the request's message to b. It fails if Reply is not a queue name, or if a string contains a NUL or
// is too long for its field.
func (r Request) Append(b []byte) ([]byte, error) {
	if err := mq.CheckName(r.Reply); err != nil {
		return b, err
	}
	if err := fits("reply queue", r.Reply, replySize); err != nil {
		return b, err
	}
	if err := fits("path", r.Path, pathSize); err != nil {
		return b, err
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(r.PID))
	b = append(b, r.Reply...)
	b = append(b, make([]byte, replySize-len(r.Reply))...)
	b = append(b, r.Path...)
	return append(b, 0), nil
}

func fits(what, s string, size int) error {
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("%s holds a NUL byte", what)
	}
	if len(s) >= size {
		return fmt.Errorf("%s is longer than %d bytes", what, size-1)
	}
	return nil
}

// ParseRequest parses one message of a request queue. An empty path is well formed: it gets an answer.
func ParseRequest(b []byte) (Request, error) {
	if len(b) <= pathOffset {
		return Request{}, malformed("%d bytes, a request has at least %d", len(b), pathOffset+1)
	}
	if len(b) > RequestSize {
		return Request{}, malformed("%d bytes, a request has at most %d", len(b), RequestSize)
	}
	reply, _, terminated := bytes.Cut(b[replyOffset:pathOffset], []byte{0})
	if !terminated {
		return Request{}, malformed("the reply queue's name is not terminated")
	}
	if err := mq.CheckName(string(reply)); err != nil {
		return Request{}, malformed("%v", err)
	}
	path, rest, terminated := bytes.Cut(b[pathOffset:], []byte{0})
	if !terminated {
		return Request{}, malformed("the path is not terminated")
	}
	if len(rest) > 0 {
		return Request{}, malformed("%d bytes after the path", len(rest))
	}
	pid := int32(binary.NativeEndian.Uint32(b))
	return Request{PID: pid, Reply: string(reply), Path: string(path)}, nil
}

// AppendInfo appends the body of an Info response to b; size is in bytes.
func AppendInfo(b []byte, size uint64) []byte {
	return binary.NativeEndian.AppendUint64(b, size)
}

// ParseInfo parses the body of an Info response and returns the size in bytes.
func ParseInfo(b []byte) (uint64, error) {
	if len(b) != InfoSize {
		return 0, malformed("INFO of %d bytes, it has %d", len(b), InfoSize)
	}
	return binary.NativeEndian.Uint64(b), nil
}

// FailureText returns the body of a Failure response: reason as UTF-8 without NUL, cut to limit bytes between runes.
func FailureText(reason string, limit int) []byte {
	text := strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", "?"), "?")
	if len(text) <= limit {
		return []byte(text)
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return []byte(text[:limit])
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
