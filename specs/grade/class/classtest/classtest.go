// Package classtest makes classes for tests of the output formats.
package classtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// hostile are names and texts made to break whatever displays them.
var hostile = []class.Name{
	"=HYPERLINK(\"http://example.invalid\",\"x\")", "+1+1", "-rf", "@SUM(A1:A9)", "<script>alert(1)</script>",
	"\"><img src=x onerror=alert(1)>", "\xff\xfenot utf-8", "two\nlines", "\x1b[31mred\x1b[0m", "\u202egnp.exe", "]]></failure>",
	"a,b;c\td", "José Núñez", "'quoted", `back\slash`,
}

// Class returns a class of n submissions, always the same: good and bad ones, every verdict within the first dozen, and
// all hostile names within the first 30.
func Class(n int) class.Class {
	random := rand.New(rand.NewPCG(7, 7))
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	c := class.Class{Format: class.Format, Kit: "v1.2.0", Machine: "Linux 6.12.0 x86_64, 2 cores", Began: began,
		Ended: began.Add(5*time.Minute + 12*time.Second), Rubric: rubric.Standard()}
	for i := range n {
		c.Submissions = append(c.Submissions, submission(random, i, c.Rubric))
	}
	return c
}

func submission(random *rand.Rand, i int, rows []rubric.Row) class.Submission {
	s := class.Submission{Name: name(i), Verdict: class.Graded, Language: "go", Runs: 5,
		Build: class.Build{Command: "go build -o bin/mqfiled ./server", Seconds: 1.25 + random.Float64()}}
	if random.IntN(3) == 0 {
		s.Language, s.Build.Command = "c", "make"
	}
	s.Hashes = map[string]string{"mqfiled": strings.Repeat("0f", 32), "mqfile": strings.Repeat("a5", 32)}
	s.Seconds = 9 + 8*random.Float64()
	switch i % 12 {
	case 3:
		s.Verdict, s.Why, s.Notes = class.NotOne, "a file", rubric.Text{EN: "a file, no folder", ES: "un fichero, no una carpeta"}
		return s
	case 7:
		s.Verdict, s.Why, s.Hashes = class.NoBuild, "make: exit status 2", nil
		s.Notes = rubric.Text{EN: "no bin/mqfiled, but bin/server </p>\x1b", ES: "no hay bin/mqfiled, sino bin/server"}
		s.Look = []class.Look{{Why: s.Notes, Command: "scripts/grade class --only '" + string(s.Name) + "' --as 'make; cp bin/server bin/mqfiled'"}}
		s.Trial = &class.Trial{Command: "make; cp bin/server bin/mqfiled", Verdict: class.Graded, Got: 61, Of: 100}
		s.Adjust = class.Adjustment{Late: 20, Reason: "two days </p>\x1b"}
		s.History = []class.Earlier{{When: time.Unix(1e9, 0), Verdict: class.NoBuild, Of: 100}}
		s.Build.Output = "mqfiled.c:41:9: error: unknown type name 'mqd_t'; did you mean 'mode_t'?\n\x1b[0m"
		return s
	case 9:
		s.Verdict, s.Why = class.Timeout, "not judged within 3m0s: it was at stuck"
		s.Rows = judge(random, s, rows)[:17]
		return s
	case 11:
		s.Verdict, s.Why = class.GraderFailed, "cage: clone: no space left on device"
		return s
	}
	s.Rows = judge(random, s, rows)
	return s
}

func judge(random *rand.Rand, s class.Submission, rows []rubric.Row) []class.Row {
	var judged []class.Row
	faults := random.IntN(30) // in 100 rows
	for _, row := range rows {
		r := class.Row{ID: row.ID, Status: class.Passed, Passes: s.Runs, Seconds: 0.05 + random.Float64()}
		switch {
		case random.IntN(100) < faults:
			r.Status, r.Passes, r.Finding = class.Failed, 0, found(random)
			if random.IntN(6) == 0 {
				r.Passes = 1 + random.IntN(s.Runs-1)
			}
		case random.IntN(100) == 0:
			r.Status, r.Passes = class.Error, 0
			r.Why = finding.Same("exit status 2, open /tmp/report.json: no such file or directory")
		case row.ID == "privileges" && random.IntN(4) == 0:
			r.Status, r.Passes = class.Skipped, 0
			r.Why = finding.Say("only root has privileges to give up")
		}
		judged = append(judged, r)
	}
	return judged
}

func name(i int) class.Name {
	if i%2 == 1 && i/2 < len(hostile) {
		return hostile[i/2]
	}
	return class.Name(fmt.Sprintf("núñez-ana-%03d", i))
}

// found returns the finding of a failed row: what was done, asked and seen, and what /proc showed.
func found(random *rand.Rand) *finding.Finding {
	pid := 1000 + random.IntN(30000)
	var log strings.Builder
	for i := range 3 + random.IntN(40) {
		fmt.Fprintf(&log, "2026-03-02T09:00:49.%06dZ mqfiled[%d]: sent \"small\" to /spec-reply-%d: 1 bytes\n", i*137, pid, i)
	}
	return &finding.Finding{
		Did:   finding.Say("started it in the hostile setting"),
		Wants: finding.Same("what the row says"), Saw: finding.Same("/proc/%d/status: Umask: 0022", pid),
		Facts: []finding.Fact{
			{Of: finding.Say("started"), Text: fmt.Sprintf("mqfiled --root /tmp/specs-1/root --queue /spec-request-%d", pid)},
			{Of: finding.Same("/tmp/specs-1/log/mqfiled.log"), Text: log.String()},
			{Of: finding.Same("/proc/%d/fd", pid), Text: "0 -> /dev/null O_RDWR (00:06:3)\n2 -> \x1b]0;owned\a</pre>" +
				"<script>alert(1)</script>\xff (deleted)\n"},
		},
	}
}
