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

// can fails the spec with a finding unless ok, as must does, for what only a server can do that starts and answers. It
// looks only then whether this one does, so that it costs the others nothing.
func (r row) can(ctx context.Context, ok bool, f finding.Finding) {
	GinkgoHelper()
	if !ok {
		r.canBut(ctx, f, r.hiding()...)
	}
}

// canBut fails the spec with what missing finds if that is a fault of one of those rows, and otherwise with f.
func (r row) canBut(ctx context.Context, f finding.Finding, hiding ...string) {
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
	f.Cause = say("not judged: the fault that this shows hides whatever else this row is about; see `%s`", by)
	r.fail(f)
}

// hasQueue fails the spec with `notify`, where a student comes to the request queue, if the server makes none at all.
func (r row) hasQueue(ctx context.Context, queue string, did rubric.Text) {
	GinkgoHelper()
	soon, cancel := harness.WithTimeout(ctx, harness.Slack)
	defer cancel()
	if !eventually(soon, func() bool { return harness.QueueExists(queue) }) {
		r.see("notify", finding.Finding{Did: did, Wants: say("there is a request queue"), Saw: say("queue %s: there is none", queue)})
	}
}

// hiding are the rows whose faults can hide this one's.
func (r row) hiding() []string {
	switch r.ID {
	case "protocol":
		return []string{"ready"}
	case "transfer":
		return []string{"ready", "protocol"}
	case "ready":
		return []string{"protocol", "transfer"}
	case "confine", "leaks":
		return []string{"ready", "protocol", "transfer", "errors"}
	}
	return []string{"ready", "protocol", "transfer"}
}

// missing starts a server in a plain setting, asks for a small file and for one that is not there, and tells which row is
// about what it does not do, "" if it does all of that.
func missing(ctx context.Context) (row string, f finding.Finding) {
	GinkgoHelper()
	const content = "a small file\n"
	p := place()
	Expect(p.WriteFile("small", []byte(content))).To(Succeed())
	f.Did = say("started it in a plain setting")
	s, err := programs.StartServer(ctx, p, harness.Setting{})
	if errors.Is(err, harness.ErrSuite) {
		Fail(err.Error())
	}
	if err != nil {
		f.Wants, f.Saw = say("the original process returns 0 and a daemon is running"), say("%v", err)
		f.Do = byHand
		if errors.Is(err, harness.ErrCrashed) {
			f.Do = toFind
		}
		return "ready", f
	}
	defer s.Close()
	c := client(harness.Small)
	f.Did = say("%v and asked for a small file", f.Did)
	e, err := fetchSoon(ctx, c, s, "small")
	if err != nil {
		f.Wants, f.Saw = say("INFO, DATA, END"), say("%v", err)
		return "protocol", f
	}
	if wrong := outOfOrder(e, len(content), c.Shape.MsgSize); wrong != (rubric.Text{}) {
		f.Wants, f.Saw = say("INFO, DATA, END"), say("%v: %v", wrong, e.Summary())
		return "protocol", f
	}
	if string(e.Content) != content {
		f.Wants, f.Saw = say("its content"), say("%.100q", e.Content)
		return "transfer", f
	}
	f.Did = say("started it in a plain setting and asked for a file that does not exist")
	e, err = fetchSoon(ctx, c, s, "missing")
	if _, failed := e.Failed(); err != nil || !failed {
		f.Wants, f.Saw = say("FAILURE"), say("%s, error: %v", e.Summary(), err)
		return "errors", f
	}
	f.Did = say("%v, then for the small one, with the same reply queue", f.Did)
	if e, err = fetchSoon(ctx, c, s, "small"); err != nil || outOfOrder(e, len(content), c.Shape.MsgSize) != (rubric.Text{}) {
		f.Wants, f.Saw = say("FAILURE alone, then INFO, DATA, END"), say("%s, error: %v", e.Summary(), err)
		return "protocol", f
	}
	return "", f
}

// fetchSoon waits less than specs do: the spec has failed by now, and this only tells by what.
func fetchSoon(ctx context.Context, c *harness.Client, s *harness.Server, path string) (harness.Exchange, error) {
	ctx, cancel := harness.WithTimeout(ctx, 2*harness.Slack)
	defer cancel()
	return c.Fetch(ctx, s.Queue, path)
}
