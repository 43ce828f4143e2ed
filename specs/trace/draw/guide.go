package draw

import (
	"html/template"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"daemonlab/specs/rubric"
)

// Guide is the lab's guide, one directory per language.
type Guide struct {
	Dir  string // "" when there is none
	Link string // the page's link to it
}

// hint is the text on a step in one language.
type hint struct {
	Lang, Text string
	Link       template.URL
}

var (
	markup  = regexp.MustCompile("[*`]|\\]\\([^)]*\\)|\\[")
	noLabel = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// hints returns the guide's paragraph on each id, or else the rubric's hint.
func (g Guide) hints(id string) (hints []hint) {
	row, _ := rubric.Find(rubric.Standard(), id)
	for _, lang := range []string{"en", "es"} {
		h := hint{Lang: lang, Text: row.Hint.In(lang)}
		pages, _ := filepath.Glob(filepath.Join(g.Dir, lang, "*.md"))
		for _, page := range pages {
			content, _ := os.ReadFile(page)
			_, rest, found := strings.Cut(string(content), "\n### `"+id+"`")
			title, rest, _ := strings.Cut(rest, "\n\n")
			if found && g.Dir != "" {
				first, _, _ := strings.Cut(rest, "\n\n")
				h.Text = markup.ReplaceAllString(strings.ReplaceAll(first, "\n", " "), "")
				slug := strings.ReplaceAll(noLabel.ReplaceAllString(strings.ToLower(id+title), ""), " ", "-")
				h.Link = template.URL(g.Link + "/" + lang + "/" + filepath.Base(page) + "#" + slug)
			}
		}
		hints = append(hints, h)
	}
	return hints
}
