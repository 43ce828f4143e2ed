package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"daemonlab/lab/wire"
)

func encode(t testing.TB, r wire.Request) []byte {
	t.Helper()
	b, err := r.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequestRoundTrip(t *testing.T) {
	for _, want := range []wire.Request{
		{PID: 1, Reply: "/r", Path: "file"},
		{PID: -1, Reply: "/" + strings.Repeat("n", 254), Path: strings.Repeat("p", 4095)},
		{PID: 0, Reply: "/ñ and space", Path: ""},
	} {
		b := encode(t, want)
		got, err := wire.ParseRequest(b)
		if err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		if len(b) != 4+256+len(want.Path)+1 { // up to and including the NUL of path
			t.Errorf("%+v is sent in %d bytes", want, len(b))
		}
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	for name, r := range map[string]wire.Request{
		"no slash":        {Reply: "r", Path: "f"},
		"two slashes":     {Reply: "/r/s", Path: "f"},
		"empty reply":     {Reply: "", Path: "f"},
		"reply too long":  {Reply: "/" + strings.Repeat("n", 255), Path: "f"},
		"path too long":   {Reply: "/r", Path: strings.Repeat("p", 4096)},
		"NUL in the path": {Reply: "/r", Path: "a\x00b"},
	} {
		if _, err := r.Append(nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func malformed(tb testing.TB) map[string][]byte {
	good := encode(tb, wire.Request{PID: 7, Reply: "/reply", Path: "file"})
	reply := func(s string) []byte { return append(append(good[:4:4], []byte(s)...), good[4+len(s):]...) }
	return map[string][]byte{
		"empty":              nil,
		"no path":            good[:260],
		"unterminated path":  good[:len(good)-1],
		"bytes after path":   append(good[:len(good):len(good)], 'x'),
		"whole structure":    append(good[:len(good):len(good)], make([]byte, wire.RequestSize-len(good))...),
		"longer than it":     append(good[:len(good):len(good)], make([]byte, wire.RequestSize)...),
		"unterminated reply": reply("/" + strings.Repeat("n", 255)),
		"no slash":           reply("xreply\x00"),
		"two slashes":        reply("/a/b\x00"),
		"empty reply":        reply("\x00"),
		"slash alone":        reply("/\x00"),
		"dot":                reply("/.\x00"),
		"random":             bytes.Repeat([]byte{0xa5}, 300),
	}
}

func TestParseRefusesMalformedRequests(t *testing.T) {
	for name, b := range malformed(t) {
		if r, err := wire.ParseRequest(b); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

func TestInfo(t *testing.T) {
	size, err := wire.ParseInfo(wire.AppendInfo(nil, 1<<40+1))
	if err != nil || size != 1<<40+1 {
		t.Errorf("got %d, %v", size, err)
	}
	if _, err := wire.ParseInfo(make([]byte, 7)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("7 bytes: %v", err)
	}
}

func TestFailureText(t *testing.T) {
	for _, c := range []struct {
		reason string
		limit  int
		want   string
	}{
		{"no such file", 256, "no such file"},
		{"año", 2, "a"},
		{"año", 3, "añ"},
		{"a\x00b\xffc", 256, "a?b?c"},
		{"abc", 0, ""},
	} {
		if got := string(wire.FailureText(c.reason, c.limit)); got != c.want {
			t.Errorf("%q cut to %d: got %q, want %q", c.reason, c.limit, got, c.want)
		}
	}
}

// The offsets come from this machine's C compiler, not from our reading of it.
func TestLayoutIsThatOfTheCStructure(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to ask for the layout of the C structure")
	}
	program := filepath.Join(t.TempDir(), "layout")
	cmd := exec.Command(gcc, "-x", "c", "-o", program, "-")
	cmd.Stdin = strings.NewReader(`#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
struct request { int32_t pid; char reply[256]; char path[4096]; };
int main(void)
{
    struct request r = { 0x01020304, "/reply", "file" };
    printf("%zu ", sizeof r);
    fwrite(&r, offsetof(struct request, path) + sizeof "file", 1, stdout);
    return 0;
}`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	got, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Appendf(nil, "%d %s", wire.RequestSize,
		encode(t, wire.Request{PID: 0x01020304, Reply: "/reply", Path: "file"}))
	if !bytes.Equal(got, want) {
		t.Errorf("C says\n%q\nwire says\n%q", got, want)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(encode(f, wire.Request{PID: 7, Reply: "/reply", Path: "dir/file"}))
	for _, b := range malformed(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.ParseRequest(b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		again, err := wire.ParseRequest(encode(t, r))
		if err != nil || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
