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

	"daemonlab/specs/check"
	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/class/classtest"
	"daemonlab/specs/grade/page"
	"daemonlab/specs/rubric"
)

var must = check.Must

func written(t *testing.T, c class.Class) string {
	t.Helper()
	out := t.TempDir()
	must(t, page.Write(out, c))
	return filepath.Join(out, "index.html")
}

func content(t *testing.T, c class.Class) string {
	t.Helper()
	text, err := os.ReadFile(written(t, c))
	must(t, err)
	return string(text)
}

func TestNamesAreEscaped(t *testing.T) {
	html := content(t, classtest.Class(30))
	if n := strings.Count(html, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	for _, bad := range []string{"<img", "onerror=alert(1)>\"", "\x1b", "\u202e", "\xff", "href=\"http", "src="} {
		// The names themselves do appear, escaped.
		if strings.Contains(strings.ReplaceAll(html, "img src=x", ""), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if !strings.Contains(html, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("a name is missing")
	}
}

// The page is HTML, but closes every element as XML does, so the XML parser can check it.
func TestElementsAreNestedAndIdsAreUnique(t *testing.T) {
	html := content(t, classtest.Class(30))
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
		must(t, err)
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range element.Attr {
			switch {
			case a.Name.Local == "id" && ids[a.Value]:
				t.Errorf("duplicate id %s", a.Value)
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

func TestTitlesAndHintsInBothLanguages(t *testing.T) {
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

func TestPageContents(t *testing.T) {
	one := func(name class.Name, verdict class.Verdict, status string, ids ...string) class.Submission {
		s := class.Submission{Name: name, Verdict: verdict, Runs: 1}
		for _, id := range ids {
			s.Rows = append(s.Rows, class.Row{ID: id, Status: status})
		}
		return s
	}
	var all []string
	for _, row := range rubric.Standard() {
		all = append(all, row.ID)
	}
	noPoints := []string{"No submission has points."}
	for name, test := range map[string]struct {
		submissions []class.Submission
		tells       []string
	}{
		"nothing":              {nil, noPoints},
		"nobody with points":   {[]class.Submission{{Name: "a", Verdict: class.GraderFailed, Why: "no disk"}}, noPoints},
		"a median between two": {[]class.Submission{one("a", class.Graded, class.Passed, all...), one("b", class.NoBuild, "")}, []string{"<b>50 %</b>"}},
		"rates of what was judged": {[]class.Submission{ // a submission that does not build says nothing about a row
			one("a", class.Graded, class.Failed, "rearm"), one("b", class.Graded, class.Failed, "rearm"),
			one("c", class.Graded, class.Passed, "rearm"), one("d", class.Graded, class.Skipped, "rearm"),
			one("e", class.Graded, class.Error, "rearm"), one("f", class.NoBuild, "")},
			[]string{"<b>67 %</b>", "<small>2/3</small>"}},
		"adjustment and history": {[]class.Submission{{Name: "a", Verdict: class.Graded,
			Notes: rubric.Text{EN: "found in src", ES: "estaba en src"}, Adjust: class.Adjustment{Late: 20, Reason: "two days"},
			History: []class.Earlier{{When: time.Unix(0, 0), Verdict: class.Graded, Got: 40, Of: 100}}}},
			[]string{"found in src", "estaba en src", "−20 %: two days", "1970-01-01 00:00: 40/100 graded", `href="feedback/a.es.html"`}},
	} {
		html := content(t, class.Class{Rubric: rubric.Standard(), Submissions: test.submissions})
		for _, part := range append(test.tells, "</html>") {
			if !strings.Contains(html, part) || strings.Contains(html, "NaN") {
				t.Errorf("%s: %q is missing, or there is a NaN", name, part)
			}
		}
	}
}

func TestUndecidedComeFirstWithoutAZero(t *testing.T) {
	look := []class.Look{{Why: rubric.Text{EN: "no Makefile", ES: "sin Makefile"}, Command: "scripts/grade c --as 'cc <x>.c'"},
		{Why: rubric.Text{EN: "no Makefile", ES: "sin Makefile"}, Command: "scripts/grade c --as 'clang'"}}
	tried := &class.Trial{Command: "cc", Got: 61, Of: 100}
	c := class.Class{Rubric: rubric.Standard(), Submissions: []class.Submission{
		{Name: "none", Verdict: class.NotOne, Why: "a file", Notes: rubric.Text{EN: "a file", ES: "un fichero"}},
		{Name: "good", Verdict: class.Graded}, {Name: "odd", Verdict: class.NoBuild, Look: look},
		{Name: "late", Verdict: class.Graded, Look: look[:1], Adjust: class.Adjustment{Late: 1, Reason: "late"}},
		{Name: "tried", Verdict: class.NoBuild, Look: look[:1], Trial: tried, Adjust: class.Adjustment{As: "cc", Reason: "late"}}}}
	html := content(t, c)
	last := 0
	for _, part := range []string{`id="h-look">`, `<small>4</small>`, `<a href="#s3">odd</a>`, "no Makefile", "sin Makefile",
		"scripts/grade c --as &#39;cc &lt;x&gt;.c&#39;", "clang", `<a href="#s5">tried</a>`, "61/100", `<a href="#s1">none</a>`, "un fichero", `id="h-rates"`} {
		at := strings.Index(html[last:], part)
		if at < 0 {
			t.Fatalf("%s is missing or misplaced", part)
		}
		last += at
	}
	if !strings.Contains(html, "</span> 2 <span") {
		t.Error("an undecided submission is among those with points")
	}
	if n := strings.Count(html, `<td class="total" data-v="-1"></td>`); n != 2 {
		t.Errorf("%d submissions have no total; none and odd have none", n)
	}
	c.Submissions = c.Submissions[1:2]
	if strings.Contains(content(t, c), "h-look") {
		t.Error("nothing needs a look, but its section is there")
	}
}
