package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"daemonlab/lab/wire"
)

// noise returns binary content: all byte values, the same every time.
func noise(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	file := make([]byte, size)
	for i := range file {
		file[i] = byte(random.Uint32())
	}
	return file
}

func received(bytes, messages int) string {
	return fmt.Sprintf("Received %d bytes (%d messages)\n", bytes, messages)
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 255, 256, 8191, 8192, 8193, 128 << 10, 1<<20 + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newServer(t)
			c := s.fetch("PATH")
			c.expectServed(s.request(), noise(size))
		})
	}
}

// replyName matches a PID and at least 64 random bits.
var replyName = regexp.MustCompile(`^/mqfile-[0-9]+-[0-9a-f]{16,}$`)

func TestRequest(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "a b", "ñandú/\n", "/abs/../x", "-", strings.Repeat("x", 4095)} {
		s := newServer(t)
		c := s.fetch("--", path)
		e := s.request()
		if e.Request.Path != path || !replyName.MatchString(e.Request.Reply) {
			t.Errorf("asked for %q at %s, expected %q", e.Request.Path, e.Request.Reply, path)
		}
		e.serve([]byte("x"))
		c.wait().expect(t, 0, received(1, 1))
	}
}

// A slow server's bytes are not held back until a buffer is full.
func TestTrickleArrives(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.command("PATH")
	out, in, err := os.Pipe()
	must(t, err)
	defer out.Close()
	c.cmd.Stdout = in
	c.start()
	in.Close()
	e := s.request()
	e.info(3)
	for _, want := range []string{"a", "b", "c"} {
		e.send(wire.Data, []byte(want))
		got := make([]byte, 1)
		if _, err := out.Read(got); err != nil || string(got) != want {
			t.Fatalf("read %q, %v; expected %q", got, err, want)
		}
	}
	e.end()
	c.wait().expect(t, 0, received(3, 3))
}

func TestFailure(t *testing.T) {
	t.Parallel()
	for text, said := range map[string]string{
		"no such file: \"x\"": "no such file: \"x\"", "perdón: ñ": "perdón: ñ",
		"no\x1b[2J\r\nno\u009b\u202e\xff\\": `no\x1b[2J\r\nno\u009b\u202e�\`,
	} {
		s := newServer(t)
		c := s.fetch("PATH")
		s.request().failure(text)
		r := c.wait()
		r.expect(t, 1, "mqfile: "+said+"\n")
		if r.stdout != "" {
			t.Errorf("stdout %q", r.stdout)
		}
	}
}

// Responses that violate the contract.
func TestBadResponses(t *testing.T) {
	t.Parallel()
	type message struct {
		kind uint
		body []byte
	}
	info := func(size uint64) message { return message{wire.Info, wire.AppendInfo(nil, size)} }
	data := func(n int) message { return message{wire.Data, bytes.Repeat([]byte("x"), n)} }
	end := message{wire.End, nil}
	for name, c := range map[string]struct {
		say      string
		messages []message
	}{
		"DATA first":         {"no INFO first", []message{data(3)}},
		"END first":          {"no INFO first", []message{end}},
		"INFO twice":         {"a second INFO", []message{info(5), info(5)}},
		"INFO short":         {"bad response: ", []message{{wire.Info, make([]byte, 7)}}},
		"INFO long":          {"bad response: ", []message{{wire.Info, make([]byte, 9)}}},
		"INFO empty":         {"bad response: ", []message{{wire.Info, nil}}},
		"DATA empty":         {"DATA without a byte", []message{info(5), {wire.Data, nil}}},
		"DATA too much":      {"more than the 5 bytes", []message{info(5), data(3), data(3)}},
		"DATA for an empty":  {"more than the 0 bytes", []message{info(0), data(1)}},
		"END early":          {"END after 3 of the 5 bytes", []message{info(5), data(3), end}},
		"END early, immense": {"END after 3 of the 18446744073709551615 bytes", []message{info(1<<64 - 1), data(3), end}},
		"END with a body":    {"END with 2 bytes", []message{info(3), data(3), {wire.End, []byte("!!")}}},
		"type 0":             {"unknown type 0", []message{info(5), {0, nil}}},
		"type 5":             {"unknown type 5", []message{{5, []byte("x")}}},
		"type 32767":         {"unknown type 32767", []message{{32767, nil}}},
		"FAILURE empty":      {"without a reason", []message{{wire.Failure, nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newServer(t), t.TempDir()
			running := s.fetch("-o", dir+"/file", "PATH")
			e := s.request()
			for _, m := range c.messages {
				e.send(m.kind, m.body)
			}
			running.wait().expectPart(t, 1, c.say)
			gone(t, e.Request.Reply)
			expectFiles(t, dir)
		})
	}
}

// expectFiles checks the entries of a directory, hidden ones included.
func expectFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if fmt.Sprint(found) != fmt.Sprint(names) {
		t.Errorf("%s holds %v, expected %v", dir, found, names)
	}
}
