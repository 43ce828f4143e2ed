package formats

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// words is the feedback that a student gets.
type words struct {
	Lang, Name      string
	Given           bool
	Got, Of         int
	Remarks         string
	Failed          []failure
	Passed, Skipped []string
}

// Code returns the name as a Markdown code span, in which no link or image is parsed (CommonMark, 6.1).
func (w words) Code() string {
	fence := "`"
	for strings.Contains(w.Name, fence) {
		fence += "`"
	}
	if fence == "`" {
		return fence + w.Name + fence
	}
	return fence + " " + w.Name + " " + fence
}

type failure struct {
	rubric.Row
	Title, Report string
}

var say = map[string]any{
	"say": func(lang, en, es string) string { return rubric.Text{EN: en, ES: es}.In(lang) },
	"points": func(lang string, n int) string {
		word := rubric.Text{EN: "points", ES: "puntos"}.In(lang)
		if n == 1 {
			word = strings.TrimSuffix(word, "s")
		}
		return fmt.Sprint(n, " ", word)
	},
	"ids": func(ids []string) string { return strings.Join(ids, ", ") },
	// Indented: a text could close a fence.
	"indent": func(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") },
}

var markdown = template.Must(template.New("").Funcs(say).Parse(
	`# {{.Code}}{{if .Given}}: {{.Got}}/{{.Of}}{{end}}
{{with .Remarks}}
{{indent .}}
{{end}}{{range .Failed}}
## ✗ {{.ID}} · {{.Title}} ({{say $.Lang "step" "paso"}} {{.Step}}, {{points $.Lang .Points}})
{{with .Report}}
{{indent .}}
{{end}}{{end}}{{if .Passed}}
✓ {{say .Lang "Passed" "Superadas"}}: {{ids .Passed}}
{{end}}{{if .Skipped}}
– {{say .Lang "Not judged here, counts neither way" "No evaluadas aquí, no cuentan"}}: {{ids .Skipped}}
{{end}}`))

var page = htmltemplate.Must(htmltemplate.New("").Funcs(say).Parse(
	`<!DOCTYPE html>
<html lang="{{.Lang}}"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Name}}</title>
<style>:root{color-scheme:light dark}body{max-width:60rem;margin:1rem auto;padding:0 1rem;font:16px/1.45 system-ui,sans-serif}
h2{font-size:1.1rem;margin:2rem 0 0}pre{white-space:pre-wrap;overflow-wrap:anywhere;border-left:3px solid;padding-left:.7rem}</style>
<h1>{{.Name}}{{if .Given}}: {{.Got}}/{{.Of}}{{end}}</h1>
{{with .Remarks}}<pre>{{.}}</pre>
{{end}}{{range .Failed}}<h2>✗ <code>{{.ID}}</code> {{.Title}}
<small>({{say $.Lang "step" "paso"}} {{.Step}}, {{points $.Lang .Points}})</small></h2>
{{with .Report}}<pre>{{.}}</pre>
{{end}}{{end}}{{if .Passed}}<p>✓ {{say .Lang "Passed" "Superadas"}}: {{ids .Passed}}</p>
{{end}}{{if .Skipped}}<p>– {{say .Lang "Not judged here, counts neither way" "No evaluadas aquí, no cuentan"}}: {{ids .Skipped}}</p>
{{end}}</html>
`))

// writeFeedback writes NAME.LANG.md and NAME.LANG.html for each student, and removes those of former ones.
func writeFeedback(dir string, c class.Class) error {
	var errs []error
	students := map[string]bool{}
	for _, s := range c.Submissions {
		if s.Verdict == class.NotOne {
			continue
		}
		for _, lang := range []string{"en", "es"} {
			w := newWords(s, c.Rubric, lang)
			var md, html bytes.Buffer
			file := filepath.Join(dir, s.Name.Folder()+"."+lang)
			students[s.Name.Folder()] = true
			errs = append(errs, markdown.Execute(&md, w), page.Execute(&html, w), write(file+".md", md.Bytes()),
				write(file+".html", html.Bytes()))
		}
	}
	files, _ := os.ReadDir(dir)
	for _, file := range files {
		if m := feedback.FindStringSubmatch(file.Name()); m != nil && !students[m[1]] {
			errs = append(errs, os.Remove(filepath.Join(dir, file.Name())))
		}
	}
	return errors.Join(errs...)
}

var feedback = regexp.MustCompile(`^(.+)\.(en|es)\.(md|html)$`)

func newWords(s class.Submission, rows []rubric.Row, lang string) words {
	w := words{Lang: lang, Name: fullName(s), Remarks: remarks(s, lang)}
	w.Got, w.Of, w.Given = s.Points(rows)
	w.Given = w.Given && !s.Undecided()
	for _, row := range rows {
		switch found, judged := s.Row(row.ID); {
		case found.Status == class.Passed:
			w.Passed = append(w.Passed, row.ID)
		case found.Status == class.Failed:
			w.Failed = append(w.Failed, failure{row, row.Title.In(lang), report(s, row, found, lang)})
		case judged:
			w.Skipped = append(w.Skipped, row.ID)
		case s.Rows != nil:
			w.Failed = append(w.Failed, failure{row, row.Title.In(lang), rubric.Text{EN: "Not reached.", ES: "No se llegó a ella."}.In(lang)})
		}
	}
	return w
}
