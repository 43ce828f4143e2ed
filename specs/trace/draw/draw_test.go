package draw_test

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"daemonlab/lab/procfs"
	"daemonlab/specs/facts"
	"daemonlab/specs/finding"
	"daemonlab/specs/trace/birth"
	"daemonlab/specs/trace/draw"
	"daemonlab/specs/trace/event"
)

// story is a start with a fork, a mark, and names that try to break a page or a narrow column.
func story() *birth.Story {
	long := "/" + strings.Repeat("larguísimo", 30) + "<&\"'>\x1b[2J"
	events := []*event.Event{
		{Kind: event.Executed, PID: 100, TID: 100, Path: "/bin/<server>"},
		{Kind: event.Born, PID: 100, TID: 100, Name: "fork", Result: 101},
		{Kind: event.Call, PID: 101, TID: 101, Name: "setsid", Result: 101},
		{Kind: event.Call, PID: 101, TID: 101, Name: "chdir", Path: long},
		{Kind: event.Call, PID: 101, TID: 101, Name: "mq_open", Path: long, Result: 3},
		{Kind: event.Ended, PID: 100, TID: 100},
		{Kind: event.Client, Did: finding.Say("a request")},
		{Kind: event.Told, Result: 15},
		{Kind: event.Ended, PID: 101, TID: 101},
	}
	for i, e := range events {
		e.At = time.Duration(i) * 3 * time.Second
	}
	return birth.Read(&event.Record{Command: []string{"<server>", "--root", long}, Events: events, Stderr: "<b>\x1b[2J",
		Lab: true, ArmedAt: long,
		After: map[int]facts.Facts{101: {Stat: procfs.Stat{Pid: 101, Session: 101}}}})
}

func drawn(t *testing.T, on draw.Terminal) string {
	var out bytes.Buffer
	if err := draw.Text(&out, story(), on); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTextFitsATerminal(t *testing.T) {
	for _, on := range []draw.Terminal{{Width: 80}, {Width: 120}, {Width: 60, Lang: "es"}} {
		text := drawn(t, on)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > on.Width {
				t.Errorf("%d of %d characters: %q", n, on.Width, line)
			}
		}
		if strings.Contains(text, "\x1b") {
			t.Error("escape sequences, though no colour was asked for")
		}
	}
	text := drawn(t, draw.Terminal{Width: 80})
	for _, want := range []string{"*-o original   fork() = 101", "5 session", "!! session: no second fork", "X daemon     exit(0)",
		"session     !!  no second fork", "24.00 s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestColourSaysNothingOfItsOwn(t *testing.T) {
	coloured, bare := drawn(t, draw.Terminal{Width: 80, Colour: true}), drawn(t, draw.Terminal{Width: 80})
	if regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(coloured, "") != bare {
		t.Error("with the colours taken away the text is another")
	}
	if len(coloured) == len(bare) {
		t.Error("no colours")
	}
}

func page(t *testing.T, guide draw.Guide) string {
	content, err := draw.HTML(story(), "es", guide)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestPageStandsAlone(t *testing.T) {
	page := page(t, draw.Guide{})
	for _, reference := range []string{"src=", "href=", "url(", "@import", "<script", "<server>", "\x1b"} {
		if strings.Contains(page, reference) {
			t.Errorf("%q in the page", reference)
		}
	}
	for _, want := range []string{"fork() = 101", "!! session", "no second fork", "falta el segundo fork", "&lt;server&gt;",
		`<html lang="es">`, "setsid(2)"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

// TestPageLeadsIntoTheGuide checks that the headings that links name exist.
func TestPageLeadsIntoTheGuide(t *testing.T) {
	links := regexp.MustCompile(`href="[^"]*"`).FindAllString(page(t, draw.Guide{Dir: "../../../lab/guide", Link: "lab/guide"}), -1)
	for _, want := range []string{"lab/guide/en/daemon.md#session-a-session-of-its-own-without-leader-or-terminal",
		"lab/guide/es/daemon.md#session-una-sesión-propia-sin-líder-y-sin-terminal"} {
		if decoded, err := url.PathUnescape(strings.Join(links, " ")); err != nil || !strings.Contains(decoded, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}
