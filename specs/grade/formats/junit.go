package formats

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
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
