// Package page makes index.html of a class: one file for a browser, for paper and for a screen reader, in English and
// Spanish. It asks for nothing from outside and works without its script, which adds sorting and filtering.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"path/filepath"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

//go:embed page.html
var layout string

//go:embed page.css
var style template.CSS

//go:embed page.js
var script template.JS

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"t":     func(en, es string) template.HTML { return both(rubric.Text{EN: en, ES: es}) },
	"both":  both,
	"plain": finding.Plain,
}).Parse(layout))

// both has the text in both languages, of which the style sheet hides one.
func both(text rubric.Text) template.HTML {
	plain := func(text string) string { return template.HTMLEscapeString(finding.Plain(text)) }
	return template.HTML(`<span lang="en">` + plain(text.EN) + `</span><span lang="es">` + plain(text.ES) + `</span>`)
}

// Write writes index.html into a directory of results.
func Write(out string, c class.Class) error {
	hash := sha256.Sum256([]byte(script))
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		view
		Style      template.CSS
		Script     template.JS
		ScriptHash string
	}{newView(c), style, script, base64.StdEncoding.EncodeToString(hash[:])})
	if err != nil {
		return err
	}
	return tool.WriteFile(filepath.Join(out, "index.html"), b.Bytes(), false)
}
