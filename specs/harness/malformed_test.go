package harness

import (
	"bytes"
	"strings"
	"testing"

	"daemonlab/lab/wire"
)

// The error describes the message, even if the reply queue's name contains the path.
func TestMalformedRequestIsExplained(t *testing.T) {
	right, err := wire.Request{PID: 1, Reply: "/mqfile-1", Path: "file"}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for says, message := range map[string][]byte{
		"reply at offset 8":                 append(make([]byte, 4), right...),
		"path at offset 68":                 append(bytes.Clone(right[:68]), right[pathAt:]...),
		"path's NUL is missing":             right[:len(right)-1],
		"4091 of them after the path's NUL": append(bytes.Clone(right), make([]byte, wire.RequestSize-len(right))...),
	} {
		if _, err := parseRequest(message, "file"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; expected that %s", err, says)
		}
	}
}
