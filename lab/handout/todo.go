package main

import (
	_ "embed"
	"encoding/json"
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
}

//go:embed todos.json
var ownTexts []byte

func newTodos(lang string) *todos {
	t := &todos{rows: rubric.Standard(), lang: lang}
	t.err = json.Unmarshal(ownTexts, &t.texts)
	return t
}

// writer returns what writes the comments of a file. What to do is told where an id comes first in it; other places
// have the title only.
func (t *todos) writer(file string) func(ids []string, key, indent string) []string {
	told := map[string]bool{}
	width := 79
	if filepath.Ext(file) == ".go" {
		width = 110
	}
	return func(ids []string, key, indent string) []string {
		var text []string
		own, known := t.texts[key]
		if key != "" && !known {
			t.err = fmt.Errorf("%s: a mark names %q, which todos.json has not", file, key)
		}
		margin := width - len(strings.ReplaceAll(indent, "\t", "    ")) - 3
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
		return comment(filepath.Ext(file), indent, text)
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

func comment(language, indent string, text []string) (lines []string) {
	if len(text) == 0 {
		return nil
	}
	if language == ".go" {
		for _, line := range text {
			lines = append(lines, indent+"// "+line)
		}
		return lines
	}
	for i, line := range text {
		open := " * "
		if i == 0 {
			open = "/* "
		}
		lines = append(lines, indent+open+line)
	}
	lines[len(lines)-1] += " */"
	return lines
}
