package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"daemonlab/specs/rubric"
)

// todos writes what a student finds in the place of a region: what the rubric says of its ids.
type todos struct {
	rows  []rubric.Row
	texts map[string]rubric.Text
	lang  string
	err   error // an id or a text that is none

	comments map[string]string // in Spanish, by the English ones
}

//go:embed todos.json
var ownTexts []byte

func newTodos(lang string) *todos {
	t := &todos{rows: rubric.Standard(), lang: lang}
	t.err = json.Unmarshal(ownTexts, &t.texts)
	if lang == "es" {
		t.err = errors.Join(t.err, json.Unmarshal(spanishComments, &t.comments))
	}
	return t
}

// writer returns what writes the comments of a file. What to do is told where an id comes first in it; other places
// have the title only.
func (t *todos) writer(file string) func(ids []string, key, indent string) []string {
	told := map[string]bool{}
	form := "/*"
	if filepath.Ext(file) == ".go" {
		form = "//"
	}
	return func(ids []string, key, indent string) []string {
		var text []string
		own, known := t.texts[key]
		if key != "" && !known {
			t.err = fmt.Errorf("%s: a mark names %q, which todos.json has not", file, key)
		}
		margin := room(file, indent, form)
		for _, id := range ids {
			row, ok := rubric.Find(t.rows, id)
			if !ok {
				t.err = fmt.Errorf("%s: a mark names %q, which is no row of the rubric", file, id)
				return nil
			}
			text = append(text, wrap(t.text(row, key == "" && !told[id]), margin)...)
			told[id] = told[id] || key == ""
		}
		if key != "" {
			text = append(text, wrap(own.In(t.lang), margin)...)
		}
		if len(text) == 0 {
			return nil
		}
		return strings.Split(indent+layOut(indent, form, text), "\n")
	}
}

func (t *todos) text(row rubric.Row, withHint bool) string {
	word, title, hint := "step", row.Title.EN, row.Hint.EN
	if t.lang == "es" {
		word, title, hint = "paso", row.Title.ES, row.Hint.ES
	}
	text := fmt.Sprintf("TODO %s %d (%s): %s.", word, row.Step, row.ID, title)
	if withHint {
		text += " " + hint
	}
	return text
}

func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
