package formats

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// JUnit's report as Jenkins reads it (junit-10.xsd of its xunit plugin): a suite for each submission, a case for each
// row.
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
		panic(err) // of types that encoding/xml does not know, which these are not
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func junitSubmission(s class.Submission, c class.Class) junitSuite {
	suite := junitSuite{Name: s.Name.String(), Time: seconds(s.Seconds), Hostname: finding.Plain(c.Machine),
		Timestamp: c.Began.UTC().Format("2006-01-02T15:04:05")}
	if message := explain(s, "en"); message != "" {
		// A case of its own: none of the rows is at fault, and it may have none.
		whole := junitCase{Name: string(s.Verdict), Class: suite.Name, Time: seconds(s.Build.Seconds)}
		text := &junitMessage{Message: finding.Plain(s.Why), Text: message}
		if s.Verdict == class.GraderFailed {
			whole.Error = text
		} else {
			whole.Failure = text
		}
		suite.Cases = append(suite.Cases, whole)
	}
	for _, row := range c.Rubric {
		if found, judged := s.Row(row.ID); judged {
			suite.Cases = append(suite.Cases, junitRow(suite.Name, s, row, found))
		}
	}
	suite.Tests = len(suite.Cases)
	for _, t := range suite.Cases {
		switch {
		case t.Failure != nil:
			suite.Failures++
		case t.Error != nil:
			suite.Errors++
		case t.Skipped != nil:
			suite.Skipped++
		}
	}
	return suite
}

func junitRow(name string, s class.Submission, row rubric.Row, found class.Row) junitCase {
	t := junitCase{Name: row.ID, Class: name, Time: seconds(found.Seconds)}
	message := &junitMessage{Message: row.Title.EN, Text: report(s, row, found, "en")}
	switch found.Status {
	case class.Failed:
		t.Failure = message
	case class.Error:
		t.Error = message
	case class.Skipped:
		t.Skipped = message
	}
	return t
}

func seconds(s float64) string {
	return fmt.Sprintf("%.3f", s)
}
