package draw

import (
	"bytes"
	_ "embed"
	"html/template"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
	"daemonlab/specs/trace/birth"
)

//go:embed page.html
var pageText string

// HTML draws the story as a self-contained page: it fetches nothing, and colour is never the only sign. Each step has
// the guide's paragraph on it.
func HTML(s *birth.Story, lang string, guide Guide) ([]byte, error) {
	page, err := template.New("page").Funcs(template.FuncMap{
		"t":      func(en, es string) rubric.Text { return rubric.Text{EN: en, ES: es} },
		"plain":  finding.Plain,
		"status": status,
		"hints":  guide.hints,
		"class": func(c cell) string {
			return map[rune]string{'|': "life", '*': "life call", 'o': "life made", 'X': "end", '!': "life mark"}[c.Sign]
		},
	}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	title, setting := heading(s)
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Story": s, "Lang": lang, "Title": title, "Setting": setting, "Legend": legend(s), "Sections": sections(s),
	})
	return out.Bytes(), err
}
