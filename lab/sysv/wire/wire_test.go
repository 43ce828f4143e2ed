package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"daemonlab/lab/sysv/wire"
)

// A message is either refused or the only one of its request.
func FuzzRequest(f *testing.F) {
	long := strings.Repeat("p", 4095)
	for message, good := range map[string]bool{"1234\x00": true, "1234a/b\x00": true, "1234" + long + "\x00": true, "": false,
		"1234": false, "1234path": false, "1234path\x00more": false, "1234\x00\x00": false, "1234p" + long + "\x00": false} {
		if r, err := wire.ParseRequest([]byte(message)); (err == nil) != good {
			f.Errorf("%.20q gave %+v, %v", message, r, err)
		}
		f.Add([]byte(message))
	}
	for _, path := range []string{"a\x00b", long + "p"} {
		if _, err := (wire.Request{Path: path}).Append(nil); err == nil {
			f.Errorf("a path of %d bytes was taken", len(path))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.ParseRequest(b)
		if err != nil {
			return
		}
		if again, err := r.Append(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%+v became %q, %v", r, again, err)
		}
	})
}

// A Failure must find room beside all the data that a queue can hold.
func TestPieceSizeLeavesRoom(t *testing.T) {
	for _, c := range []struct{ maxBytes, msgMax, want int }{
		{16384, 8192, 8064}, {65536, 8192, 8192}, {16384, 100, 100}, {512, 8192, 128},
	} {
		if got := wire.PieceSize(c.maxBytes, c.msgMax); got != c.want || 2*got+wire.FailureSize > c.maxBytes {
			t.Errorf("%d bytes for %+v", got, c)
		}
	}
}
