package main

import (
	_ "embed"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"daemonlab/specs/finding"
)

// comments.es.json has the Spanish of each comment in the files that students write in, per paragraph, keyed by the
// English with its lines joined. Files that are given whole (part.solution is false) stay English.
//
//go:embed comments.es.json
var spanishComments []byte

// comments matches strings too, because they may contain what looks like a comment. The // or # of a mark, a directive
// or an #include is not followed by a blank.
var comments = regexp.MustCompile(`(?m)"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|` + "`[^`]*`" +
	`|(/\*(?s:.*?)\*/|^[ \t]*(?://|#)(?:[ \t].*)?$(?:\n[ \t]*(?://|#)(?:[ \t].*)?$)*|(?://|#)[ \t].*$)`)

// replaceComments calls replace with each comment of a source and the text before it on its line.
func replaceComments(source string, replace func(before, comment string) string) string {
	var replaced strings.Builder
	done := 0
	for _, match := range comments.FindAllStringSubmatchIndex(source, -1) {
		if match[2] == -1 {
			continue
		}
		comment := strings.TrimLeft(source[match[2]:match[3]], " \t")
		at := match[3] - len(comment)
		before := source[strings.LastIndexByte(source[:at], '\n')+1 : at]
		replaced.WriteString(source[done:at] + replace(before, comment))
		done = match[3]
	}
	return replaced.String() + source[done:]
}

var commentMarks = regexp.MustCompile(`(?m)^[ \t]*(?://|/\*|\*/|\*|#) ?|[ \t]*\*/$`)

// paragraphs returns the paragraphs of a comment, each on one line unless a tab marks it as preformatted.
func paragraphs(comment string) (all []string) {
	text := strings.Trim(commentMarks.ReplaceAllString(comment, ""), "\n")
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if !strings.HasPrefix(paragraph, "\t") {
			paragraph = strings.Join(strings.Fields(paragraph), " ")
		}
		all = append(all, paragraph)
	}
	return all
}

// translate replaces comments by their texts in comments.es.json, if the handout is Spanish.
func (t *todos) translate(file string, source []byte) []byte {
	return []byte(replaceComments(string(source), func(before, comment string) string {
		var lines []string
		for _, paragraph := range paragraphs(comment) {
			spanish, known := t.comments[paragraph]
			if !known {
				return comment
			}
			if lines != nil {
				lines = append(lines, "")
			}
			if strings.HasPrefix(spanish, "\t") {
				lines = append(lines, strings.Split(spanish, "\n")...)
			} else {
				lines = append(lines, finding.Fold(spanish, room(file, before, comment))...)
			}
		}
		return layOut(before, comment, lines)
	}))
}

// room returns how long the lines of a comment may be.
func room(file, before, comment string) int {
	width := 120
	if ext := filepath.Ext(file); ext == ".c" || ext == ".h" || file == "Makefile" {
		width = 79
	}
	isBlock := strings.HasPrefix(comment, "/*")
	if !isBlock && strings.TrimSpace(before) != "" {
		return math.MaxInt // it cannot be continued on the next line
	}
	if isBlock && !strings.HasPrefix(comment, "/*\n") {
		width -= len(" */")
	}
	before = strings.Replace(before, "//"+markInstead+" ", "", 1)
	return width - utf8.RuneCountInString(strings.ReplaceAll(before, "\t", "    ")+"// ")
}

// layOut formats lines as a comment in the style of another one, after the text before it on its line.
func layOut(before, form string, lines []string) string {
	begin, next, end := "// ", before+"// ", ""
	switch {
	case strings.HasPrefix(form, "/*\n"):
		begin, next, end = "/*\n"+before+" * ", before+" * ", "\n"+before+" */"
	case strings.HasPrefix(form, "/*") && strings.TrimSpace(before) != "":
		begin, next, end = "/* ", strings.Repeat(" ", len(before)+len("/* ")), " */"
	case strings.HasPrefix(form, "/*"):
		begin, next, end = "/* ", before+" * ", " */"
	case strings.HasPrefix(form, "#"):
		begin, next = "# ", before+"# "
	}
	text := begin + strings.Join(lines, "\n"+next) + end
	return strings.NewReplacer(" \n", "\n", " \t", "\t").Replace(text)
}
