package formats

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// object is a JSON object.
type object = map[string]any

const plainText, visible, hidden = "text", "visible", "hidden"

// gradescope returns results.json as specified at gradescope-autograders.readthedocs.io/en/latest/specs. Without a
// score Gradescope reports that the autograder failed.
func gradescope(s class.Submission, rows []rubric.Row) object {
	output, tests := remarks(s, "en"), []object{}
	g := object{
		"execution_time": s.Seconds, "output_format": plainText, "visibility": visible,
		"stdout_visibility": hidden, // the output of run_autograder
		"extra_data":        object{"verdict": s.Verdict, "hashes": s.Hashes},
	}
	got, of, given := s.Points(rows)
	if given {
		g["score"] = got
		ofStep := map[int]int{}
		for _, row := range rows {
			ofStep[row.Step]++
			tests = append(tests, gradescopeTest(s, row, fmt.Sprintf("%d.%d", row.Step, ofStep[row.Step])))
		}
		if s.Verdict == class.Graded {
			output = strings.TrimSpace(fmt.Sprintf("%d of %d points.\n%s", got, of, output))
		}
		if of < rubric.Total {
			output += fmt.Sprintf("\n%d points could not be earned because their tests could not run here.",
				rubric.Total-of)
		}
	}
	g["output"], g["tests"] = output, tests
	return g
}

// gradescopeTest returns the test of a row; its number is the lab's step and the row within it. A row that was not
// judged has neither points nor a status.
func gradescopeTest(s class.Submission, row rubric.Row, number string) object {
	found, judged := s.Row(row.ID)
	t := object{"name": row.Title.EN, "number": number, "output": report(s, row, found, "en"),
		"output_format": plainText, "visibility": visible, "tags": []string{row.ID, fmt.Sprintf("step %d", row.Step)}}
	switch {
	case found.Status == class.Skipped || found.Status == class.Error:
		t["output"] = strings.TrimSpace("Not judged: " + report(s, row, found, "en"))
		return t
	case !judged:
		t["output"] = "Not reached: grading ended before this test."
	}
	t["score"], t["max_score"], t["status"] = 0, row.Points, class.Failed
	if found.Status == class.Passed {
		t["score"], t["status"] = row.Points, class.Passed
	}
	return t
}

// classroom50 returns result.json as specified on the page Advanced-Autograding of the wiki of
// foundation50/classroom50; the verdict, and the output of a test, are our additions. Who and what was graded comes
// from the environment set by its runner, if that names a classroom; otherwise placeholders are written, which its
// collector rejects.
//
// The format has no ungraded submissions. One for which the grader failed has no tests and 0 attainable points, as in a
// run without an autograder.
func classroom50(s class.Submission, c class.Class) object {
	const none = "none"
	env := os.Getenv
	if env("CLASSROOM") == "" {
		env = func(string) string { return "" }
	}
	ended := c.Ended.UTC().Format(instant)
	commit := cmp.Or(env("COMMIT_URL"), none)
	got, of, given := s.Earned(c.Rubric) // must be the sum of the tests' points
	tests := []object{}
	for _, row := range c.Rubric {
		if given {
			tests = append(tests, classroom50Test(s, row))
		}
	}
	return object{
		"schema":          "classroom50/result/v1",
		"classroom":       cmp.Or(env("CLASSROOM"), none),
		"assignment":      cmp.Or(env("ASSIGNMENT"), "daemonlab"),
		"assignment_type": cmp.Or(env("ASSIGNMENT_TYPE"), "individual"),
		"owner":           cmp.Or(env("OWNER"), s.Name.String()),
		"submission":      cmp.Or(env("SUBMISSION_TAG"), "submit/"+c.Ended.UTC().Format("2006-01-02T15-04-05Z")),
		"commit":          commit,
		"release":         cmp.Or(env("RELEASE_URL"), none),
		"review":          cmp.Or(env("REVIEW_URL"), commit),
		"datetime":        cmp.Or(submittedAt(env("COMMIT_DATE")), ended),
		"graded_at":       ended,
		"score":           got,
		"max-score":       of,
		"tests":           tests,
		"verdict":         s.Verdict,
	}
}

func classroom50Test(s class.Submission, row rubric.Row) object {
	found, _ := s.Row(row.ID)
	got, of := 0, row.Points
	switch found.Status {
	case class.Skipped, class.Error:
		of = 0 // counts neither as earned nor as attainable
	case class.Passed:
		got = of
	}
	return object{"test-name": row.ID + ": " + row.Title.EN, "passed": found.Status == class.Passed, "score": got,
		"max-score": of, "output": report(s, row, found, "en")}
}

// instant is the contract's time format.
const instant = "2006-01-02T15:04:05Z"

// submittedAt converts a time printed by git's %cI to the contract's format.
func submittedAt(committed string) string {
	t, err := time.Parse(time.RFC3339, committed)
	if err != nil {
		return ""
	}
	return t.UTC().Format(instant)
}

// JUnit's report as Jenkins reads it (junit-10.xsd of its xunit plugin): a suite per submission, a case per row.
type (
	junitReport struct {
		XMLName xml.Name     `xml:"testsuites"`
		Name    string       `xml:"name,attr"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Hostname  string      `xml:"hostname,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitMessage `xml:"skipped"`
		Error   *junitMessage `xml:"error"`
		Failure *junitMessage `xml:"failure"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func junit(c class.Class) []byte {
	report := junitReport{Name: "daemonlab"}
	for _, s := range c.Submissions {
		report.Suites = append(report.Suites, junitSubmission(s, c))
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", " ")
	if err := e.Encode(report); err != nil {
		panic(err) // only for types that encoding/xml does not support
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func junitSubmission(s class.Submission, c class.Class) junitSuite {
	suite := junitSuite{Name: s.Name.String(), Time: seconds(s.Seconds), Hostname: finding.Plain(c.Machine),
		Timestamp: c.Began.UTC().Format("2006-01-02T15:04:05")}
	if message := explain(s, "en"); message != "" {
		// A case of its own: no row is at fault, and there may be no rows.
		status := class.Failed
		if s.Verdict == class.GraderFailed {
			status = class.Error
		}
		suite.add(string(s.Verdict), status, s.Build.Seconds, junitMessage{finding.Plain(s.Why), message})
	}
	for _, row := range c.Rubric {
		if found, judged := s.Row(row.ID); judged {
			suite.add(row.ID, found.Status, found.Seconds, junitMessage{row.Title.EN, report(s, row, found, "en")})
		}
	}
	return suite
}

func (s *junitSuite) add(name, status string, took float64, m junitMessage) {
	t := junitCase{Name: name, Class: s.Name, Time: seconds(took)}
	switch status {
	case class.Failed:
		t.Failure = &m
		s.Failures++
	case class.Error:
		t.Error = &m
		s.Errors++
	case class.Skipped:
		t.Skipped = &m
		s.Skipped++
	}
	s.Cases = append(s.Cases, t)
	s.Tests++
}

func seconds(s float64) string {
	return fmt.Sprintf("%.3f", s)
}
