// Package specs proves the rows of the contract from outside the programs. Each spec carries its row's id as a label
// and belongs to the row's step.
package specs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/reporters"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
	"daemonlab/lab/wire"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

var say = finding.Say

var (
	programs harness.Programs
	rows     = rubric.Standard()
)

func TestSpecs(t *testing.T) {
	debug.SetGCPercent(400) // this process lives for seconds
	RegisterFailHandler(Fail)
	suite, reporter := GinkgoConfiguration()
	file := reporter.JSONReport
	reporter.JSONReport = ""
	ReportAfterSuite("the report of what was to run", func(r Report) {
		r.SpecReports = slices.DeleteFunc(slices.Clone(r.SpecReports), func(s SpecReport) bool {
			return s.State == types.SpecStateSkipped && s.Failure.Message == ""
		})
		if file != "" {
			Expect(reporters.GenerateJSONReport(r, file)).To(Succeed())
		}
	})
	if id := os.Getenv(harness.RowVariable); id != "" {
		suite.LabelFilter = id
	}
	RunSpecs(t, "The lab contract", suite, reporter)
	if harness.Untrusted() && harness.Tampered() {
		os.Exit(harness.TamperedStatus)
	}
}

var _ = BeforeSuite(func() {
	var err error
	if programs, err = harness.FindPrograms(GinkgoT().TempDir()); err != nil {
		AbortSuite(err.Error())
	}
	Expect(harness.AdoptOrphans()).To(Succeed())
	Expect(harness.MountOwnQueues()).To(Succeed())
	if harness.Untrusted() {
		harness.WithstandSignals() // Ginkgo would stop at the first SIGINT and give up its report at the third
	}
	harness.Now() // the clock goes from here on
})

// Row holds the specs of one row of the contract.
func Row(id string, specs func(r row)) bool {
	data, ok := rubric.Find(rows, id)
	if !ok {
		panic("no row " + id + " in the rubric")
	}
	title := fmt.Sprintf("%s (step %d): %s", id, data.Step, data.Title.EN)
	return Describe(title, Label(id, fmt.Sprintf("step-%d", data.Step)), func() {
		BeforeEach(skipWithoutRequestQueue)
		specs(row{data})
	})
}

// skipWithoutRequestQueue skips all specs where the system allows no request queue.
func skipWithoutRequestQueue() {
	limits := must(mq.SystemLimits())
	if limits.MsgSizeMax < wire.RequestSize {
		skip(say("msgsize_max is %d: a request queue has messages of %d bytes", limits.MsgSizeMax, wire.RequestSize))
	}
}

type row struct{ rubric.Row }

// must gives what the suite itself needs and always gets.
func must[T any](value T, err error) T {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return value
}

// must fails the spec unless ok. The texts are those of a [finding.Finding], in its order.
func (r row) must(ok bool, did, wants, saw rubric.Text, cause ...rubric.Text) {
	GinkgoHelper()
	if !ok {
		r.fail(found(did, wants, saw, cause...))
	}
}

func found(did, wants, saw rubric.Text, cause ...rubric.Text) finding.Finding {
	f := finding.Finding{Did: did, Wants: wants, Saw: saw}
	if len(cause) > 0 {
		f.Cause = cause[0]
	}
	return f
}

// fail fails the spec with a finding. If the daemon has ended, that is what was seen.
func (r row) fail(f finding.Finding) {
	GinkgoHelper()
	if server != nil {
		if how, ended := server.Ending(); ended {
			f.Saw = say("%v\n%v", how, f.Saw)
			f.Cause, f.Do = rubric.Text{}, toFind
		}
		AddReportEntry(finding.Facts, server.Evidence(), ReportEntryVisibilityNever)
	}
	AddReportEntry(finding.Entry, f, ReportEntryVisibilityNever)
	Fail(r.ID + ": " + r.Title.EN + "\n" + f.Whole(r.Row, "en", 0))
}

// server is the one that the spec has started last.
var server *harness.Server

// byHand says how to look at a start that fails.
var byHand = say("start it by hand with a --root, a --queue and a --pidfile of your own, and look at $?, stderr and `ps -ef`")

// whereItIs says how to look at a start that does not end.
var whereItIs = say("start it by hand with a --queue and a --pidfile of your own, and ask gdb where it is: " +
	"gdb -p $(pgrep -n mqfiled) -batch -ex bt")

// toFind says how to find out why a daemon has ended.
var toFind = say("its log says why, or gdb where: gdb -ex 'set follow-fork-mode child' -ex 'set detach-on-fork on' -ex run " +
	"--args mqfiled --queue /test --pidfile /tmp/test.pid; then do what the spec did")

// unlessSuite ends a spec in which the suite itself could not start a program.
func unlessSuite(err error) {
	GinkgoHelper()
	if errors.Is(err, harness.ErrSuite) {
		Fail(err.Error())
	}
}

var aDaemonRuns = say("the original process returns 0 and a daemon is running")

// notJudged ends a spec that this machine, as it is now, cannot show anything by. The row then counts neither way.
func notJudged(why rubric.Text) {
	GinkgoHelper()
	why = say("not judged: %v", why)
	AddReportEntry(finding.NotJudged, why, ReportEntryVisibilityNever)
	Skip(why.EN)
}

// heldUp ends a spec as notJudged does, for what this machine was too busy for. So might an untrusted program have made
// it: such a row is no row less to be judged by, but one that nobody could judge.
func heldUp(why rubric.Text) {
	GinkgoHelper()
	if harness.Untrusted() {
		Fail(why.EN)
	}
	notJudged(why)
}

// skip ends a spec that is not for this user or this system.
func skip(why rubric.Text) {
	GinkgoHelper()
	AddReportEntry(finding.Skipped, why, ReportEntryVisibilityNever)
	Skip(why.EN)
}

// needNamespaces skips a spec of defaults, by which a server takes what there is once on a machine.
func needNamespaces() {
	GinkgoHelper()
	if !harness.OwnNamespaces() {
		skip(say("namespaces cannot be created here, so the default files and queue would be the machine's"))
	}
}

// place makes a directory and a queue name, and ends and removes at the spec's end whatever has grown there.
func place() harness.Place {
	p := must(harness.NewPlace())
	DeferCleanup(func() {
		err := harness.KillAdopted()
		p.Remove()
		Expect(err).NotTo(HaveOccurred())
	})
	return p
}

// start starts the server at a new place, in the hostile setting.
func (r row) start(ctx context.Context, more ...string) *harness.Server {
	return r.startAt(ctx, place(), harness.Hostile(), more...)
}

func (r row) startAt(ctx context.Context, p harness.Place, s harness.Setting, more ...string) *harness.Server {
	return r.startBy(ctx, p, s, append(p.Args(), more...)...)
}

// queueStep is the step that makes the request queue, with the row `notify`: those behind it need it.
const queueStep = 9

// startBy starts the server with flags that lead to the place.
func (r row) startBy(ctx context.Context, p harness.Place, s harness.Setting, args ...string) *harness.Server {
	did := say("started mqfiled %s", finding.Args(args))
	started, err := programs.StartServerBy(ctx, p, s, args...)
	unlessSuite(err)
	if err != nil {
		f := found(did, aDaemonRuns, say("%v", err))
		f.Hangs = errors.Is(err, harness.ErrHangs)
		if s.Cwd == "" {
			f.Do = byHand
		} else { // the row's hint is about where it was started
			f.Did = say("%v in %s", f.Did, s.Cwd)
		}
		if errors.Is(err, harness.ErrCrashed) {
			f.Do = toFind
		}
		if f.Hangs {
			f.Do = whereItIs
			r.fail(f) // once more would cost as much again
		}
		hiding := []string{"ready"} // a start in a plain setting shows no more of this one
		if errors.Is(err, harness.ErrNoDaemon) {
			hiding = append(hiding, "protocol") // it is there for an instant, and ends when it is asked
		}
		r.failBut(ctx, f, hiding...)
	}
	server = started
	DeferCleanup(func() {
		started.Close()
		server = nil
	})
	if r.Step >= queueStep && r.ID != "notify" {
		if f, none := noQueue(ctx, p.Queue, did); none && started.Alive() {
			r.see("notify", f)
		}
	}
	return started
}

// client makes a client of the suite's own, with a reply queue of that shape or of the largest that the system allows.
func client(s harness.Shape) *harness.Client {
	limits := must(mq.SystemLimits())
	c := must(harness.NewClient(harness.Shape{Depth: min(s.Depth, limits.MsgMax), MsgSize: min(s.MsgSize, limits.MsgSizeMax)}))
	DeferCleanup(c.Close)
	return c
}

// fetch asks for a file and fails the spec if the exchange does not come to its end.
func (r row) fetch(ctx context.Context, c *harness.Client, s *harness.Server, path string) harness.Exchange {
	GinkgoHelper()
	e, err := c.Fetch(ctx, s.Queue, path)
	r.can(ctx, err == nil,
		say("asked for %q, with a reply queue of %d messages of %d bytes", path, c.Shape.Depth, c.Shape.MsgSize),
		say("the exchange ends with END or FAILURE"), say("%v", err), unanswered(s, e))
	return e
}

// unanswered tells a request that nobody has received from one that the server took for something else.
func unanswered(s *harness.Server, e harness.Exchange) rubric.Text {
	status, _, err := harness.QueueStatus(s.Queue)
	switch {
	case err != nil || len(e.Messages) > 0:
		return rubric.Text{}
	case status.QSize > 0 && status.NotifyPID == s.PID:
		return say("nobody received the request: QSIZE:%d NOTIFY_PID:%d; mq_receive(3) fails with EMSGSIZE if its "+
			"buffer is smaller than the queue's mq_msgsize", status.QSize, status.NotifyPID)
	case status.QSize > 0:
		return say("nobody received the request: QSIZE:%d NOTIFY_PID:%d", status.QSize, status.NotifyPID)
	}
	tasks, _ := s.Process.Tasks()
	if slices.ContainsFunc(tasks, func(t procfs.Status) bool { return t.State == 'R' }) {
		return say("one of its threads is still running, so it is probably in an endless loop: gdb -p $(pgrep " +
			"mqfiled) -batch -ex 'thread apply all bt' shows the line")
	}
	const many = 500 // of the 1,024 of the hostile setting
	if n, err := s.OpenFiles(); err == nil && n > many {
		return say("the daemon has %d descriptors open: it does not close what it opens for a request, see `leaks`", n)
	}
	log, _ := os.ReadFile(s.Log)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return say("the request was received but perhaps not understood: pid is at offset 0, reply at 4, path at 260, "+
		"4356 bytes in all; the log ends with: %.300s", lines[len(lines)-1])
}

// mustServe proves that the server still answers.
func (r row) mustServe(ctx context.Context, s *harness.Server, after rubric.Text) {
	GinkgoHelper()
	const content = "still here\n"
	Expect(s.WriteFile("still", []byte(content))).To(Succeed())
	e, err := client(harness.Small).Fetch(ctx, s.Queue, "still")
	r.can(ctx, err == nil && string(e.Content) == content, say("%v, then asked for a small file", after),
		say("the daemon serves the next request"),
		say("%s, error: %v, daemon alive: %v", difference(e, []byte(content)), err, s.Alive()), unanswered(s, e))
}

// goesOn fails the spec when something could not be done because the daemon does not do its part: it has ended, removed
// its queue or does not empty it. Any other error is the suite's own.
func (r row) goesOn(err error, s *harness.Server, did rubric.Text) {
	GinkgoHelper()
	if err == nil {
		return
	}
	if why := harness.CannotLook(s.PID); errors.Is(err, os.ErrPermission) && why.EN != "" && s.Alive() {
		heldUp(say("%s: %v: %s", did, err, why))
	}
	r.must(s.Alive() && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, context.DeadlineExceeded),
		did, say("the daemon is alive and takes requests"), say("%v; daemon alive: %v", err, s.Alive()))
	Expect(err).NotTo(HaveOccurred(), did.EN)
}
