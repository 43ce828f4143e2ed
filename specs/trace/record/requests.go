package record

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/event"
)

// ask sends one request alone, then two at once, of which the second may cause no notification.
func (t *taker) ask(ctx context.Context, queue string) {
	name := t.served()
	for _, clients := range []int{1, 2} {
		if ctx.Err() == nil {
			t.askTogether(ctx, queue, name, clients)
			t.rest(ctx, harness.Patience)
		}
	}
}

// askTogether has several clients send their requests before any of them reads an answer.
func (t *taker) askTogether(ctx context.Context, queue, name string, clients int) {
	ctx, cancel := harness.WithTimeout(ctx, harness.Patience)
	defer cancel()
	var waiting []*harness.Client
	for range clients {
		client, err := harness.NewClient(harness.Small)
		if err != nil {
			t.tell(say("no reply queue: %v", err), false)
			return
		}
		defer client.Close()
		t.add(&event.Event{Kind: event.Client, Name: "mq_send", Did: say("mq_send(%s, request %q)", queue, name)})
		if err := client.Request(ctx, queue, name); err != nil {
			t.tell(say("no room for the request: %v", err), true)
			return
		}
		waiting = append(waiting, client)
	}
	for _, client := range waiting {
		exchange, err := client.Finish(ctx, name)
		if err != nil {
			t.tell(say("no answer: %v", err), true)
			continue
		}
		t.tell(say("got %v", exchange.Summary()), false)
	}
}

func (t *taker) tell(did rubric.Text, unserved bool) {
	t.add(&event.Event{Kind: event.Client, Did: did, Unserved: unserved})
}

// maxServed bounds the requested file, in bytes: a long transfer shows no more than a short one.
const maxServed = 8 << 10

// served finds a small file in the served directory without knowing the server's flags: one that the daemon has open,
// or in a directory that its arguments name, or that it was started in. Failing that, the answer is an error, which
// does.
func (t *taker) served() string {
	var dirs []string
	for _, facts := range t.record.After {
		for _, d := range facts.Descriptors {
			if d.Mode&unix.S_IFMT == unix.S_IFDIR {
				dirs = append(dirs, d.Target)
			}
		}
	}
	for _, argument := range t.record.Command[1:] {
		for _, dir := range append([]string{argument}, strings.SplitAfter(argument, "=")[1:]...) {
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(t.record.Before.Cwd, dir)
			}
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range append(dirs, t.record.Before.Cwd) {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			info, err := entry.Info()
			if err == nil && info.Mode().IsRegular() && info.Mode()&0o004 != 0 && info.Size() > 0 && info.Size() <= maxServed {
				return entry.Name()
			}
		}
	}
	return "no-such-file"
}
