package harness

import (
	"bytes"
	"errors"

	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// ErrMalformed means that a message is not a request.
var ErrMalformed = errors.New("the message is not a request")

// Offsets of the fields of struct request; pid is at 0.
const (
	replyAt = 4
	pathAt  = replyAt + 256
)

// parseRequest parses a request for a path. If the message is not one, the error says what is wrong, field by field.
func parseRequest(message []byte, path string) (wire.Request, error) {
	request, err := wire.ParseRequest(message)
	if err == nil {
		return request, nil
	}
	whole := pathAt + len(path) + 1
	reply := bytes.IndexByte(message, '/')
	behind := max(reply, 0) + max(bytes.IndexByte(message[max(reply, 0):], 0), 0) // the name may contain the path
	at := bytes.Index(message[behind:], []byte(path))
	if at >= 0 {
		at += behind
	}
	switch {
	case reply >= 0 && reply != replyAt:
		return request, misplaced(message, "reply", reply, replyAt, finding.Say("pid is an int32_t, which has 4 bytes"))
	case at >= 0 && at != pathAt:
		return request, misplaced(message, "path", at, pathAt, finding.Say("reply is char[256]"))
	case at == pathAt && len(message) == whole-1:
		return request, finding.Failed(ErrMalformed, "%d bytes: the path's NUL is missing", len(message))
	case at == pathAt && len(message) > whole:
		return request, finding.Failed(ErrMalformed, "%d bytes, %d of them after the path's NUL: send "+
			"offsetof(struct request, path) + strlen(path) + 1, not sizeof", len(message), len(message)-whole)
	}
	return request, finding.Failed(ErrMalformed, "%d bytes: %v", len(message), err)
}

func misplaced(message []byte, field string, at, belongs int, why rubric.Text) error {
	return finding.Failed(ErrMalformed, "%d bytes, with %s at offset %d instead of %d: %v", len(message), field, at,
		belongs, why)
}
