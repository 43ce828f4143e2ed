package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"daemonlab/specs/broken"
	"daemonlab/specs/check"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// transcripts are whole outputs as a student sees them, so that a change of wording shows up in review.
var transcripts = []struct {
	name    string
	program string // a patch of specs/broken, or a shell script
	args    []string
	long    bool // it waits for limits
}{
	{"all-passing", "correct-c-order", []string{"--step", "1", "--step", "2", "--step", "3"}, false},
	{"one-row-failing", "fds-up-to-255", []string{"--step", "1", "--step", "5"}, false},
	{"start-fails", "echo 'mqfiled: no such thing' >&2; exit 1", []string{"--step", "1", "--step", "2"}, false},
	{"no-daemon", "exit 0", []string{"--step", "1"}, false},
	{"start-hangs", "while :; do :; done", []string{"--step", "1", "--step", "2", "--step", "3", "--jobs", "1"}, true},
	{"daemon-dies", "threads-segfault", []string{"--step", "10", "--jobs", "1"}, true},
	{"not-judged", "correct-c-static", []string{"--step", "4"}, false},
}

func TestTranscripts(t *testing.T) {
	bin, err := suite()
	must(t, err)
	for _, c := range transcripts {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && (c.long || !strings.Contains(c.program, " ")) {
				t.Skip("it builds a program, or waits")
			}
			server := programOf(t, c.program)
			for _, lang := range []string{"en", "es"} {
				cmd := exec.Command(filepath.Join(bin, "judge"), append([]string{"--server", server, "--lang", lang}, c.args...)...)
				cmd.Env = append(os.Environ(), "COLUMNS=1000") // else line breaks depend on the length of a PID
				out, err := cmd.Output()
				if cmd.ProcessState == nil {
					t.Fatal(err)
				}
				got := settled(string(out))
				if lang == "es" {
					mustBeSpanish(t, got)
				}
				file := filepath.Join("testdata", c.name+"."+lang+".txt")
				if *update {
					must(t, os.WriteFile(file, []byte(got), 0o644))
				}
				want, err := os.ReadFile(file)
				must(t, err)
				if got != string(want) {
					t.Errorf("%s is out of date (go test ./specs/judge -update); it came\n%s", file, got)
				}
			}
		})
	}
}

// programOf builds a program of specs/broken, or writes a script.
func programOf(t *testing.T, what string) string {
	t.Helper()
	dir := check.Room(t)
	content, err := os.ReadFile(filepath.Join("..", "broken", what+".patch"))
	if err != nil {
		content, err = os.ReadFile(filepath.Join("testdata", what+".patch"))
	}
	if err != nil {
		file := filepath.Join(dir, "mqfiled")
		must(t, os.WriteFile(file, []byte("#!/bin/sh\n"+what+"\n"), 0o755))
		return file
	}
	program, err := broken.Parse(what, content)
	must(t, err)
	if why := program.Missing(); why != "" {
		t.Skip(why)
	}
	file, err := program.Build(context.Background(), filepath.Join("..", ".."), dir)
	must(t, err)
	return file
}

// settled replaces what differs from run to run: numbers of processes and queues, times, inodes. It drops the function
// in which a daemon ended: the kernel logs at most ten faults in 5 s (printk_ratelimit).
func settled(text string) string {
	for _, r := range [][2]string{
		{`/tmp/specs-(planted-)?\d+`, "/tmp/specs-${1}1"},
		{`/spec-([a-z]+)-\d+-\d+`, "/spec-$1-1-1"},
		{`/proc/\d+`, "/proc/1"},
		{`, (in|en) send_file\(\)`, ""},
		{`(PID|pid|sesión|session) \d+`, "$1 1"},
		{`NOTIFY_PID:\d+`, "NOTIFY_PID:1"},
		{`\d+(\.\d+)?m?s\b`, "1s"},
		{`\(\d+:\d+:\d+\)`, "(00:00:1)"},
		{`\b[0-9a-f]+:[0-9a-f]+:\d+\b`, "00:00:1"},
	} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	return text
}

// mustBeSpanish finds English words, except in what a program or the kernel says.
func mustBeSpanish(t *testing.T, text string) {
	t.Helper()
	quoted := regexp.MustCompile("(?s)\"[^\"]*\"|`[^`]*`|(?m)^--- .*|/[^ ]*")
	english := regexp.MustCompile(`(?i)\b(the|is|of|has|with|not|was|and|started|asked|failed|passed|which|it)\b`)
	for line := range strings.Lines(quoted.ReplaceAllString(text, "")) {
		if word := english.FindString(line); word != "" {
			t.Errorf("%q in %s", word, line)
		}
	}
}
