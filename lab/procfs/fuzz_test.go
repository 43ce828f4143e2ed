package procfs_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"daemonlab/lab/procfs"
)

// fuzz checks that parse neither panics nor fails otherwise than with a ParseError of its file.
func fuzz[T any](f *testing.F, file string, parse func(io.Reader) (T, error), seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parse(strings.NewReader(text))
		var pe *procfs.ParseError
		if err != nil && (!errors.As(err, &pe) || pe.File != file) {
			t.Errorf("error %v is no ParseError of %s", err, file)
		}
	})
}

func FuzzStatus(f *testing.F) { fuzz(f, "status", procfs.ParseStatus, statusText) }

func FuzzFDInfo(f *testing.F) {
	fuzz(f, "fdinfo", procfs.ParseFDInfo, "pos:\t0\nflags:\t0100000\nmnt_id:\t24\nino:\t3\n"+
		"lock:\t1: FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\n")
}

func FuzzLocks(f *testing.F) {
	fuzz(f, "locks", procfs.ParseLocks, "1: -> FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\n")
}

func FuzzMaps(f *testing.F) {
	fuzz(f, "maps", procfs.ParseMaps, "7f88d70e0000-7f88d7106000 r--p 00000000 fe:00 326269    /usr/lib/libc.so.6\n")
}

// FuzzStat puts every name between the parentheses: it must come out again and change no other field.
func FuzzStat(f *testing.F) {
	for _, comm := range hostileComms {
		f.Add(comm)
	}
	f.Fuzz(func(t *testing.T, comm string) {
		s, err := procfs.ParseStat(strings.NewReader(statText(comm)))
		must(t, err)
		equal(t, "Comm", s.Comm, comm)
		equal(t, "Session", s.Session, 2153)
		if _, err := procfs.ParseStat(strings.NewReader(comm)); err != nil {
			refused(t, err, "stat", 1)
		}
	})
}

// FuzzEnviron checks that joining gives back what was split.
func FuzzEnviron(f *testing.F) {
	f.Add("A=1\x00\x00B\x00")
	f.Fuzz(func(t *testing.T, block string) {
		vars, err := procfs.ParseEnviron(strings.NewReader(block))
		must(t, err)
		joined := strings.Join(vars, "\x00")
		if joined != block && joined+"\x00" != block {
			t.Errorf("%q became %q", block, vars)
		}
	})
}
