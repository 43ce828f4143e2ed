package page_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/class/classtest"
	"daemonlab/specs/grade/page"
	"daemonlab/specs/rubric"
)

// written writes the page of a class and returns its file.
func written(t *testing.T, c class.Class) string {
	t.Helper()
	out := t.TempDir()
	if err := page.Write(out, c); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(out, "index.html")
}

func content(t *testing.T, c class.Class) string {
	t.Helper()
	text, err := os.ReadFile(written(t, c))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNothingOfAStrangerIsMarkup(t *testing.T) {
	html := content(t, classtest.Class(100))
	if n := strings.Count(html, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	for _, bad := range []string{"<img", "onerror=alert(1)>\"", "\x1b", "\u202e", "\xff", "href=\"http", "src="} {
		// The names themselves are there, escaped.
		if strings.Contains(strings.ReplaceAll(html, "img src=x", ""), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.Contains(html, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("a name is missing")
	}
}

// The page is HTML, but one whose elements all end as in XML, which its parser checks.
func TestElementsAreNestedAndIdsAreUnique(t *testing.T) {
	html := content(t, classtest.Class(100))
	begin, end := strings.Index(html, "<body>"), strings.LastIndex(html, "<script>")
	body := regexp.MustCompile(` (hidden|checked|open)([ >])`).ReplaceAllString(html[begin:end], "$2") + "</body>"
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	ids, links := map[string]bool{}, []string{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range element.Attr {
			switch {
			case a.Name.Local == "id" && ids[a.Value]:
				t.Errorf("two elements %s", a.Value)
			case a.Name.Local == "id":
				ids[a.Value] = true
			case a.Name.Local == "href" && strings.HasPrefix(a.Value, "#"):
				links = append(links, a.Value[1:])
			}
		}
	}
	for _, target := range links {
		if !ids[target] {
			t.Errorf("a link leads to #%s, which is not there", target)
		}
	}
	if len(links) < 100 {
		t.Errorf("%d links", len(links))
	}
}

func TestTitlesAndHintsAreThereInBothLanguages(t *testing.T) {
	rows := rubric.Standard()
	c := class.Class{Rubric: rows, Began: time.Unix(0, 0), Ended: time.Unix(0, 0)}
	s := class.Submission{Name: "alice", Verdict: class.Graded, Runs: 1}
	for _, row := range rows {
		s.Rows = append(s.Rows, class.Row{ID: row.ID, Status: class.Failed, Why: finding.Same("what was seen")})
	}
	c.Submissions = []class.Submission{s}
	html := content(t, c)
	text := strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(html)
	for _, row := range rows {
		for _, part := range []string{row.Title.EN, row.Title.ES, row.Hint.EN, row.Hint.ES} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q is missing", row.ID, part)
			}
		}
	}
}

func TestAPageOfNothingAndOfNobodyWithPoints(t *testing.T) {
	for _, submissions := range [][]class.Submission{nil, {{Name: "a", Verdict: class.GraderFailed, Why: "no disk"}}} {
		html := content(t, class.Class{Rubric: rubric.Standard(), Submissions: submissions})
		if strings.Contains(html, "NaN") || !strings.Contains(html, "No submission has points.") {
			t.Errorf("of %v: it does not say that there are no points", submissions)
		}
	}
}

// The rates are of those of whom the row was judged: who did not build says nothing about a row.
func TestRatesAreOfWhatWasJudged(t *testing.T) {
	one := func(name class.Name, status string) class.Submission {
		return class.Submission{Name: name, Verdict: class.Graded, Runs: 1, Rows: []class.Row{{ID: "rearm", Status: status}}}
	}
	c := class.Class{Rubric: rubric.Standard(), Submissions: []class.Submission{one("a", class.Failed), one("b", class.Failed),
		one("c", class.Passed), one("d", class.Skipped), one("e", class.Error), {Name: "f", Verdict: class.NoBuild}}}
	html := content(t, c)
	if !strings.Contains(html, "<b>67 %</b>") || !strings.Contains(html, "<small>2/3</small>") {
		t.Error("2 of 3 failed rearm, which is not said")
	}
}
