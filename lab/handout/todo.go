package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"daemonlab/specs/finding"
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
			text = append(text, finding.Fold(t.text(row, key == "" && !told[id]), margin)...)
			told[id] = told[id] || key == ""
		}
		if key != "" {
			text = append(text, finding.Fold(own.In(t.lang), margin)...)
		}
		if len(text) == 0 {
			return nil
		}
		return strings.Split(indent+layOut(indent, form, text), "\n")
	}
}

func (t *todos) text(row rubric.Row, withHint bool) string {
	step := rubric.Text{EN: "step", ES: "paso"}.In(t.lang)
	text := fmt.Sprintf("TODO %s %d (%s): %s.", step, row.Step, row.ID, row.Title.In(t.lang))
	if withHint {
		text += " " + row.Hint.In(t.lang)
	}
	return text
}
