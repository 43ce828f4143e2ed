package formats_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/class/classtest"
	"daemonlab/specs/grade/formats"
	"daemonlab/specs/rubric"
)

var must = check.Must

func written(t *testing.T, c class.Class) string {
	t.Helper()
	out := t.TempDir()
	must(t, formats.Write(out, c))
	return out
}

func read(t *testing.T, file ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(file...))
	must(t, err)
	return content
}

// TestFormats writes a class with every possible content once, and reads it back format by format.
func TestFormats(t *testing.T) {
	c := classtest.Class(30)
	out := written(t, c)
	for name, check := range map[string]func(*testing.T, class.Class, string){
		"all of them": plainAndValid, "grades": grades, "gradescope": gradescope, "classroom50": classroom50, "junit": junit,
	} {
		t.Run(name, func(t *testing.T) { check(t, c, out) })
	}
}

// plainAndValid checks that no output can drive a terminal.
func plainAndValid(t *testing.T, c class.Class, out string) {
	files := 0
	err := filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		content := read(t, path)
		if !utf8.Valid(content) {
			t.Errorf("%s is no UTF-8", path)
		}
		for _, r := range string(content) {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) || r == utf8.RuneError {
				t.Errorf("%s has the character %U", path, r)
				break
			}
		}
		return nil
	})
	strays := 3 // not submissions: no feedback
	if n := len(c.Submissions); err != nil || files != 2+2*n+4*(n-strays) {
		t.Errorf("%d files, %v", files, err)
	}
}

// grades.csv has numbers and no formulas.
func grades(t *testing.T, c class.Class, out string) {
	lines, err := csv.NewReader(bytes.NewReader(read(t, out, "grades.csv"))).ReadAll()
	if err != nil || len(lines) != len(c.Submissions)+1 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	unsteady := 0
	for i, line := range lines {
		for column, text := range line {
			if strings.IndexAny(text, "=+-@\t\r\n") == 0 {
				t.Errorf("line %d, %s: a spreadsheet takes %q for a formula", i, lines[0][column], text)
			}
		}
		if i == 0 {
			continue
		}
		s := c.Submissions[i-1]
		got, of, given := s.Points(c.Rubric)
		given = given && !s.Undecided()
		sum := 0
		for column, row := range c.Rubric {
			points, err := strconv.Atoi(line[4+column])
			if err != nil && line[4+column] != "" {
				t.Errorf("%s: %s is %q", s.Name, row.ID, line[4+column])
			}
			sum += points
		}
		if given && (line[1] != strconv.Itoa(got) || line[2] != strconv.Itoa(of) || sum != got) ||
			!given && (line[1] != "" || line[2] != "" || sum != 0) {
			t.Errorf("%s: %q, which adds up to %d, for %d of %d, %v", s.Name, line, sum, got, of, given)
		}
		if strings.Contains(line[len(line)-2], " of 5") {
			unsteady++
		}
	}
	if unsteady == 0 {
		t.Error("no unsteady row is reported as such")
	}
}

func gradescope(t *testing.T, c class.Class, out string) {
	for _, s := range c.Submissions {
		var g struct {
			Score  *int
			Output string
			Tests  []struct {
				Name, Number, Status, Output, Visibility string
				Score                                    *int
				MaxScore                                 *int   `json:"max_score"`
				OutputFormat                             string `json:"output_format"`
				Tags                                     []string
			}
		}
		must(t, json.Unmarshal(read(t, s.Name.Dir(out), "gradescope", "results.json"), &g))
		got, of, given := s.Points(c.Rubric)
		if !given {
			if g.Score != nil || len(g.Tests) > 0 || !strings.Contains(g.Output, "grader failed") && s.Verdict != class.NotOne {
				t.Errorf("%s, without points: %+v", s.Name, g)
			}
			continue
		}
		if g.Score == nil || *g.Score != got || g.Output == "" || len(g.Tests) != len(c.Rubric) {
			t.Errorf("%s has %d of %d: %+v", s.Name, got, of, g)
			continue
		}
		score, most := 0, 0
		for _, test := range g.Tests {
			if test.Name == "" || test.Number == "" || len(test.Tags) == 0 || test.Visibility != "visible" ||
				test.OutputFormat != "text" {
				t.Errorf("%s: %+v", s.Name, test)
			}
			if test.Status == "" {
				if test.Score != nil || test.MaxScore != nil || !strings.HasPrefix(test.Output, "Not judged") {
					t.Errorf("%s: not judged, but %+v", s.Name, test)
				}
				continue
			}
			if (test.Status == "passed") != (*test.Score == *test.MaxScore) ||
				test.Status == "failed" && test.Output == "" && s.Verdict != class.NoBuild {
				t.Errorf("%s: %+v", s.Name, test)
			}
			score += *test.Score
			most += *test.MaxScore
		}
		if score != got || most != of {
			t.Errorf("%s: the tests add up to %d of %d, not %d of %d", s.Name, score, most, got, of)
		}
	}
}

// result.json meets the contract of Classroom 50's collector.
func classroom50(t *testing.T, c class.Class, out string) {
	for _, s := range c.Submissions {
		var r map[string]any
		d := json.NewDecoder(bytes.NewReader(read(t, s.Name.Dir(out), "classroom50", "result.json")))
		d.UseNumber()
		must(t, d.Decode(&r))
		if r["schema"] != "classroom50/result/v1" || r["assignment_type"] != "individual" ||
			!strings.HasPrefix(r["submission"].(string), "submit/") {
			t.Errorf("%s: %v", s.Name, r)
		}
		for _, field := range []string{"classroom", "assignment", "owner", "commit", "release", "review", "datetime"} {
			if text, _ := r[field].(string); text == "" {
				t.Errorf("%s: %s is %v", s.Name, field, r[field])
			}
		}
		score, most := integer(t, r["score"]), integer(t, r["max-score"])
		for _, each := range r["tests"].([]any) {
			test := each.(map[string]any)
			got, of := integer(t, test["score"]), integer(t, test["max-score"])
			if name, _ := test["test-name"].(string); name == "" || test["passed"].(bool) != (got == of && of > 0) {
				t.Errorf("%s: %v", s.Name, test)
			}
			score -= got
			most -= of
		}
		if score != 0 || most != 0 {
			t.Errorf("%s: the tests miss %d of %d points", s.Name, score, most)
		}
	}
}

func integer(t *testing.T, v any) int {
	t.Helper()
	number, _ := v.(json.Number)
	n, err := strconv.Atoi(number.String())
	if err != nil || n < 0 {
		t.Errorf("%v is not a non-negative integer", v)
	}
	return n
}

func TestClassroom50TakesIdentityFromItsRunner(t *testing.T) {
	for name, value := range map[string]string{
		"CLASSROOM": "os", "ASSIGNMENT": "mqfiled", "ASSIGNMENT_TYPE": "group", "OWNER": "alice",
		"SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d", "COMMIT_URL": "https://x/commit/1", "RELEASE_URL": "https://x/r",
		"REVIEW_URL": "https://x/compare", "COMMIT_DATE": "2026-06-01T16:32:01+02:00",
	} {
		t.Setenv(name, value)
	}
	mustBe := func(want map[string]string) {
		t.Helper()
		c := class.Class{Rubric: rubric.Standard(), Submissions: []class.Submission{{Name: "submission"}}}
		var r map[string]any
		must(t, json.Unmarshal(read(t, c.Submissions[0].Name.Dir(written(t, c)), "classroom50", "result.json"), &r))
		for field, value := range want {
			if r[field] != value {
				t.Errorf("%s is %q, not %q", field, r[field], value)
			}
		}
	}
	mustBe(map[string]string{"classroom": "os", "assignment": "mqfiled", "assignment_type": "group", "owner": "alice",
		"submission": "submit/2026-06-01T14-32-05Z-a1b2c3d", "commit": "https://x/commit/1", "release": "https://x/r",
		"review": "https://x/compare", "datetime": "2026-06-01T14:32:01Z"})
	t.Setenv("CLASSROOM", "") // nothing else may come from the environment then
	mustBe(map[string]string{"owner": "submission", "commit": "none"})
}

// The counts in junit.xml match its contents.
func junit(t *testing.T, c class.Class, out string) {
	var report struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Tests    int    `xml:"tests,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   int    `xml:"errors,attr"`
			Skipped  int    `xml:"skipped,attr"`
			Cases    []struct {
				Time    float64    `xml:"time,attr"`
				Failure []struct{} `xml:"failure"`
				Error   []struct{} `xml:"error"`
				Skipped []struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(read(t, out, "junit.xml"), &report); err != nil || len(report.Suites) != len(c.Submissions) {
		t.Fatalf("%d suites, %v", len(report.Suites), err)
	}
	for i, suite := range report.Suites {
		failures, errors, skipped := 0, 0, 0
		for _, test := range suite.Cases {
			failures += len(test.Failure)
			errors += len(test.Error)
			skipped += len(test.Skipped)
		}
		s := c.Submissions[i]
		whole := s.Verdict != class.Graded
		if suite.Tests != len(suite.Cases) || suite.Failures != failures || suite.Errors != errors || suite.Skipped != skipped ||
			whole && failures+errors == 0 || suite.Name != s.Name.String() {
			t.Errorf("%s, %s: %+v", s.Name, s.Verdict, suite)
		}
	}
}
