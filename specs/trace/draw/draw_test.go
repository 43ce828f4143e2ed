package draw_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"daemonlab/lab/procfs"
	"daemonlab/specs/trace/birth"
	"daemonlab/specs/trace/draw"
	"daemonlab/specs/trace/event"
)

// story is a start with a fork, a mark, and names that are hostile to a page and to a narrow column.
func story() *birth.Story {
	long := "/" + strings.Repeat("larguísimo", 30) + "<&\"'>\x1b[2J"
	events := []event.Event{
		{Kind: event.Executed, PID: 100, TID: 100, Path: "/bin/<server>"},
		{Kind: event.Born, PID: 100, TID: 100, Name: "fork", Result: 101},
		{Kind: event.Call, PID: 101, TID: 101, Name: "setsid", Result: 101},
		{Kind: event.Call, PID: 101, TID: 101, Name: "chdir", Path: long},
		{Kind: event.Call, PID: 101, TID: 101, Name: "mq_open", Path: long, Result: 3},
		{Kind: event.Ended, PID: 100, TID: 100},
		{Kind: event.Client, Path: "a request"},
		{Kind: event.Told, Result: 15},
		{Kind: event.Ended, PID: 101, TID: 101},
	}
	for i := range events {
		events[i].At = time.Duration(i) * time.Second
	}
	return birth.Read(&event.Record{Command: []string{"<server>", "--root", long}, Events: events, Stderr: "<b>\x1b[2J",
		After: map[int]event.Facts{101: {Stat: procfs.Stat{Pid: 101, Session: 101}}}})
}

func TestTextFitsATerminal(t *testing.T) {
	var out bytes.Buffer
	if err := draw.Text(&out, story(), false); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 120 {
			t.Errorf("%d characters: %q", n, line)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("escape sequences, though no colour was asked for")
	}
	for _, want := range []string{"fork() = 101 ---", ">o", "5 session", "!! session: no second fork", "X exit(0)", "!!  no"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestColourSaysNothingOfItsOwn(t *testing.T) {
	var coloured, bare bytes.Buffer
	draw.Text(&coloured, story(), true)
	draw.Text(&bare, story(), false)
	stripped := regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(coloured.String(), "")
	if stripped != bare.String() {
		t.Error("with the colours taken away the text is another")
	}
	if coloured.Len() == bare.Len() {
		t.Error("no colours")
	}
}

func TestPageStandsAlone(t *testing.T) {
	page := string(draw.HTML(story()))
	for _, reference := range []string{"src=", "href=", "url(", "@import", "<script", "<server>"} {
		if strings.Contains(page, reference) {
			t.Errorf("%q in the page", reference)
		}
	}
	for _, want := range []string{"fork() = 101", "!! session: no second fork", "&lt;server&gt;", "<th>id</th>"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

func TestPicturesAreWellFormed(t *testing.T) {
	pictures := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(string(draw.HTML(story())), -1)
	if len(pictures) != 2 {
		t.Fatalf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		decoder := xml.NewDecoder(strings.NewReader(p))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}
