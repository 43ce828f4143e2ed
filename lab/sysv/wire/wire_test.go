package wire_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"daemonlab/lab/sysv/wire"
)

func TestRequestSize(t *testing.T) {
	for _, path := range []string{"", "a", "a/b", strings.Repeat("p", 4095)} {
		b, err := wire.Request{Queue: 5, Path: path}.Append(nil)
		if err != nil || len(b) != 4+len(path)+1 || len(b) > wire.RequestSize {
			t.Errorf("%d bytes for a path of %d, %v", len(b), len(path), err)
		}
	}
}

func TestPathsThatDoNotFit(t *testing.T) {
	for _, path := range []string{"a\x00b", strings.Repeat("p", 4096)} {
		if _, err := (wire.Request{Path: path}).Append(nil); err == nil {
			t.Errorf("a path of %d bytes was taken", len(path))
		}
	}
}

func TestMalformed(t *testing.T) {
	tooLong := "1234" + strings.Repeat("p", 4097)
	for _, b := range []string{"", "1234", "1234path", "1234path\x00more", "1234\x00\x00", tooLong} {
		if _, err := wire.ParseRequest([]byte(b)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%.20q gave %v", b, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, b := range []string{"", "1234\x00", "1234path\x00", "\xff\xff\xff\xff/\x00", "1234path"} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.ParseRequest(b)
		if err != nil {
			return
		}
		again, err := r.Append(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%+v became %q, %v", r, again, err)
		}
	})
}

func TestFailureText(t *testing.T) {
	long := strings.Repeat("ñ", 200)
	for _, c := range []struct{ reason, want string }{
		{"no such file", "no such file"}, {"a\x00b\xff", "a?b?"}, {long, long[:256]}, {"x" + long, "x" + long[:254]},
	} {
		got := string(wire.FailureText(c.reason))
		if got != c.want || !utf8.ValidString(got) {
			t.Errorf("%q became %q, not %q", c.reason, got, c.want)
		}
	}
}

// A Failure must find room beside all the data that a queue can hold.
func TestPieceSizeLeavesRoom(t *testing.T) {
	for _, c := range []struct{ maxBytes, msgMax, want int }{
		{16384, 8192, 8064}, {65536, 8192, 8192}, {16384, 100, 100}, {300, 8192, 22}, {256, 8192, 0},
	} {
		if got := wire.PieceSize(c.maxBytes, c.msgMax); got != c.want {
			t.Errorf("%d bytes for %+v", got, c)
		}
	}
}
