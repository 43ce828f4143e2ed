// Package wire is the message layout of the System V file server.
//
// A request is this C structure in native byte order. Its msgsnd(2) counts what follows mtype, up to and including the
// NUL of path: offsetof(struct request, path) - sizeof(long) + strlen(path) + 1 bytes.
//
//	struct request { long mtype; int32_t queue; char path[4096]; };
//
// A response is a bare body of as many bytes as msgsnd(2) was told; its mtype says what it is.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"daemonlab/lab/sysv"
)

// Types of a response. A client that receives with the selector -End gets a Failure before other waiting messages, and
// End after them: msgrcv(2) then prefers the lowest type, where a POSIX queue prefers the highest priority.
const (
	Failure = 1 // text: why the exchange ends here
	Data    = 2 // next bytes of the file
	End     = 3 // empty body: the file is complete
)

const (
	// RequestType is the type of requests. The server receives them in order of arrival, whatever their type.
	RequestType = 1
	// RequestSize is the longest request, in bytes without mtype.
	RequestSize = pathOffset + pathSize
	pathOffset  = 4
	pathSize    = 4096 // with its NUL
	// FailureSize is the longest text of a Failure. The server leaves that much room in the client's queue, so that a
	// Failure never waits.
	FailureSize = 256
	// DefaultKey is the default key of the request queue: "svfs" in ASCII.
	DefaultKey sysv.Key = 0x73766673
	// QueueMode is the mode of request and reply queues: the owner receives, anybody may send.
	QueueMode = 0o622
)

// Request asks a server for one file.
type Request struct {
	Queue sysv.Queue // the client's
	Path  string     // below the server's root
}

// Message encodes the request. Too long a path is an error. It contains no NUL, since no program argument does.
func (r Request) Message() ([]byte, error) {
	if len(r.Path) >= pathSize {
		return nil, fmt.Errorf("the path is longer than %d bytes", pathSize-1)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(r.Queue))
	return append(append(b, r.Path...), 0), nil
}

// ParseRequest parses a message of a request queue. An empty path is well formed: it is answered, not dropped.
func ParseRequest(b []byte) (Request, error) {
	if len(b) <= pathOffset || len(b) > RequestSize {
		return Request{}, fmt.Errorf("malformed request: not %d to %d bytes", pathOffset+1, RequestSize)
	}
	path, rest, terminated := strings.Cut(string(b[pathOffset:]), "\x00")
	if !terminated || rest != "" {
		return Request{}, errors.New("malformed request: its NUL is not at the end of the path")
	}
	return Request{Queue: sysv.Queue(int32(binary.NativeEndian.Uint32(b))), Path: path}, nil
}

// PieceSize is how many bytes of a file go into one message to a queue with maxBytes in all, where the system allows
// msgMax per message: two pieces fill the queue except for the room of a Failure.
func PieceSize(maxBytes, msgMax int) int { return min((maxBytes-FailureSize)/2, msgMax) }
