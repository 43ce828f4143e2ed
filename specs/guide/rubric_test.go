package guide_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"daemonlab/specs/rubric"
)

var update = flag.Bool("update", false, "write the rubric into the guide")

const (
	begin = "<!-- rubric: made of specs/rubric/rubric.json by go test ./specs/guide -update -->\n"
	end   = "<!-- /rubric -->\n"
)

var table = regexp.MustCompile(`(?s)` + regexp.QuoteMeta(begin) + `.*` + regexp.QuoteMeta(end))

func TestTheRubricInTheGuideIsTheOneThatJudges(t *testing.T) {
	for _, language := range languages {
		file := filepath.Join(root, language, "lab.md")
		content, err := os.ReadFile(file)
		must(t, err)
		if !table.Match(content) {
			t.Errorf("%s: no place for the rubric", file)
			continue
		}
		want := table.ReplaceAllLiteralString(string(content), begin+rubricTable(t, language)+end)
		if string(content) == want {
			continue
		}
		if !*update {
			t.Errorf("%s: the rubric has changed: go test ./specs/guide -update", file)
			continue
		}
		must(t, os.WriteFile(file, []byte(want), 0o644))
	}
}

// rubricTable has a line for each row, with a link to its section.
func rubricTable(t *testing.T, language string) string {
	head, title := "| step | row | points | what holds |", func(r rubric.Row) string { return r.Title.EN }
	if language == "es" {
		head, title = "| paso | prueba | puntos | qué se cumple |", func(r rubric.Row) string { return r.Title.ES }
	}
	places := map[string]string{}
	for name, p := range pages(t, language) {
		for _, h := range p.headings {
			if match := rowHeading.FindStringSubmatch(strings.Repeat("#", h.level) + " " + h.text); match != nil {
				places[match[1]] = name + "#" + h.anchor()
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n|---|---|---|---|\n", head)
	for _, r := range rubric.Standard() {
		fmt.Fprintf(&b, "| %d | [`%s`](%s) | %d | %s |\n", r.Step, r.ID, places[r.ID], r.Points, title(r))
	}
	return b.String()
}
