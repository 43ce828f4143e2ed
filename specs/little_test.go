package specs_test

import (
	"context"
	"errors"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// Most rows need a little that other rows are about: a server that starts and answers. What a row cannot see for want of
// that is not judged, and says which row's fault hides it.

// can is must for what only a server can do that starts and answers. It looks only then whether this one does, so that
// it costs the others nothing.
func (r row) can(ctx context.Context, ok bool, did, wants, saw rubric.Text, cause ...rubric.Text) {
	GinkgoHelper()
	if !ok {
		r.failBut(ctx, found(did, wants, saw, cause...), r.hiding()...)
	}
}

// failBut fails the spec with what missing finds if that is a fault of one of those rows, and otherwise with f.
func (r row) failBut(ctx context.Context, f finding.Finding, hiding ...string) {
	GinkgoHelper()
	mine := server
	by, little := missing(ctx)
	server = mine
	if by == r.ID || !slices.Contains(hiding, by) {
		r.fail(f)
	}
	r.see(by, little)
}

// see fails the spec with a finding that is a fault of another row.
func (r row) see(by string, f finding.Finding) {
	GinkgoHelper()
	f.See = by
	f.Cause = say("not judged: this fault hides whatever else the row is about; see `%s`", by)
	r.fail(f)
}

// hasQueue fails the spec with `notify`, where a student comes to the request queue, if the server makes none at all.
func (r row) hasQueue(ctx context.Context, queue string, did rubric.Text) {
	if f, none := noQueue(ctx, queue, did); none {
		r.see("notify", f)
	}
}

// noQueue reports whether a server makes no request queue.
func noQueue(ctx context.Context, queue string, did rubric.Text) (f finding.Finding, none bool) {
	return found(did, say("there is a request queue"), say("queue %s does not exist", queue)),
		!within(ctx, harness.Slack, func() bool { return harness.QueueExists(queue) })
}

// hiding are the rows whose faults can hide this one's.
func (r row) hiding() []string {
	rows := []string{"ready", "notify", "protocol", "transfer"}
	switch r.ID {
	case "protocol":
		return rows[:2]
	case "transfer":
		return rows[:3]
	case "ready":
		return rows[1:]
	case "confine", "leaks":
		return append(rows, "errors")
	}
	return rows
}

// missing starts a server in a plain setting, asks for a small file and for one that is not there, and tells which row is
// about what it does not do, "" if it does all of that.
func missing(ctx context.Context) (row string, f finding.Finding) {
	const content = "a small file\n"
	p := place()
	Expect(p.WriteFile("small", []byte(content))).To(Succeed())
	did := say("started it in a plain setting")
	s, err := programs.StartServer(ctx, p, harness.Setting{})
	unlessSuite(err)
	if err != nil {
		f := found(did, aDaemonRuns, say("%v", err))
		f.Do = byHand
		if errors.Is(err, harness.ErrCrashed) {
			f.Do = toFind
		}
		return "ready", f
	}
	defer s.Close()
	if f, none := noQueue(ctx, p.Queue, did); none && s.Alive() {
		return "notify", f
	}
	c := client(harness.Small)
	did = say("%v and asked for a small file", did)
	e, err := fetchSoon(ctx, c, s, "small")
	if status, _, _ := harness.QueueStatus(p.Queue); err != nil && status.QSize > 0 && !status.Registered() {
		return "notify", found(did, say("the daemon is registered"), unanswered(s, e))
	}
	if err != nil {
		return "protocol", found(did, say("INFO, DATA, END"), say("%v", err))
	}
	if wrong := outOfOrder(e, len(content), c.Shape.MsgSize); wrong != (rubric.Text{}) {
		return "protocol", found(did, say("INFO, DATA, END"), say("%v: %v", wrong, e.Summary()))
	}
	if string(e.Content) != content {
		return "transfer", found(did, say("its content"), say("%.100q", e.Content))
	}
	did = say("started it in a plain setting and asked for a file that does not exist")
	e, err = fetchSoon(ctx, c, s, "missing")
	if _, failed := e.Failed(); err != nil || !failed {
		return "errors", found(did, say("FAILURE"), say("%s, error: %v", e.Summary(), err))
	}
	did = say("%v, then for the small one, with the same reply queue", did)
	e, err = fetchSoon(ctx, c, s, "small")
	if err != nil || outOfOrder(e, len(content), c.Shape.MsgSize) != (rubric.Text{}) {
		return "protocol", found(did, say("FAILURE alone, then INFO, DATA, END"), say("%s, error: %v", e.Summary(), err))
	}
	return "", f
}

// fetchSoon waits less than specs do: the spec has failed by now, and this only tells by what.
func fetchSoon(ctx context.Context, c *harness.Client, s *harness.Server, path string) (harness.Exchange, error) {
	ctx, cancel := harness.WithTimeout(ctx, 2*harness.Slack)
	defer cancel()
	return c.Fetch(ctx, s.Queue, path)
}
