package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// todos writes the text that replaces a region: what the rubric says about its ids.
type todos struct {
	rows  []rubric.Row
	texts map[string]rubric.Text
	lang  string
	err   error // unknown id or text

	comments map[string]string // English to Spanish
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

// writer returns the function that writes the comments of a file. The first place with an id says what to do; the
// others only have the title.
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
			t.err = fmt.Errorf("%s: a mark names %q, which todos.json does not have", file, key)
		}
		margin := room(file, indent, form)
		for _, id := range ids {
			row, ok := rubric.Find(t.rows, id)
			if !ok {
				t.err = fmt.Errorf("%s: a mark names %q, which is not a row of the rubric", file, id)
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

// The reference marks in comments which parts of a source students have to write:
//
//	//lab:begin fds
//	//lab:instead return nil
//	...
//	//lab:end
//
// In a handout each such region is replaced by a TODO per id, with the rubric's hint, or with a text of todos.json that
// the mark names after a colon (lab:begin ready: make-queue), followed by the lines that the region gives with instead,
// so that the rest builds. A region ends at the end of its file at the latest. One without an id vanishes without a
// trace, and so does a file without any mark; a file given whole says //lab:give. In a Makefile # replaces //.
const (
	markBegin   = "lab:begin"
	markInstead = "lab:instead"
	markEnd     = "lab:end"
	markGive    = "lab:give"
)

// region is a part of a source that is removed from a handout.
type region struct {
	file    string
	removed []string // lines
	todo    []string // replacement
}

// mark is a line of a source that is a mark.
type mark struct {
	kind, text, indent string
}

func parseMark(line string) (mark, bool) {
	rest := strings.TrimLeft(line, " \t")
	m := mark{indent: line[:len(line)-len(rest)]}
	comment, ok := strings.CutPrefix(rest, "//")
	if !ok {
		comment, ok = strings.CutPrefix(rest, "#")
	}
	if !ok || !strings.HasPrefix(comment, "lab:") {
		return mark{}, false
	}
	m.kind, m.text, _ = strings.Cut(comment, " ")
	return m, true
}

// handedOut reports whether a handout has any of a source.
func handedOut(source []byte) bool {
	return len(withoutMarks(source)) < len(source)
}

// cut removes the regions from a source; todo writes their replacements.
func cut(file string, source []byte, todo func(ids []string, key, indent string) []string) ([]byte, []region, error) {
	var left bytes.Buffer
	var regions []region
	var open *region
	end := func() {
		for _, line := range open.todo {
			left.WriteString(line + "\n")
		}
		regions = append(regions, *open)
		open = nil
	}
	number := 0
	for line := range strings.Lines(string(source)) {
		number++
		m, isMark := parseMark(strings.TrimSuffix(line, "\n"))
		switch {
		case !isMark && open == nil:
			left.WriteString(line)
		case !isMark:
			open.removed = append(open.removed, strings.TrimSuffix(line, "\n"))
		case m.kind == markGive && open == nil:
		case m.kind == markBegin && open == nil:
			ids, key, _ := strings.Cut(m.text, ":")
			open = &region{file: file, todo: todo(strings.Fields(ids), strings.TrimSpace(key), m.indent)}
		case m.kind == markInstead && open != nil:
			open.todo = append(open.todo, strings.TrimRight(m.indent+m.text, " \t"))
		case m.kind == markEnd && open != nil:
			end()
		default:
			return nil, nil, fmt.Errorf("%s:%d: %s does not belong here", file, number, m.kind)
		}
	}
	if open != nil {
		end()
	}
	return left.Bytes(), regions, nil
}

// withoutMarks returns the source without its marks.
func withoutMarks(source []byte) []byte {
	var left bytes.Buffer
	for line := range strings.Lines(string(source)) {
		if _, ok := parseMark(strings.TrimSuffix(line, "\n")); !ok {
			left.WriteString(line)
		}
	}
	return left.Bytes()
}
