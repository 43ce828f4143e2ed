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

// comments.es.json has the comments of what a student goes on writing, a paragraph an entry with its lines joined, and
// beside each its Spanish. What is given complete (part.solution is false) stays English.
//
//go:embed comments.es.json
var spanishComments []byte

// comments are found together with strings, in which something may look like one. After // or # of a mark, a directive
// or an #include no blank follows.
var comments = regexp.MustCompile(`(?m)"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|` + "`[^`]*`" +
	`|(/\*(?s:.*?)\*/|^[ \t]*(?://|#)(?:[ \t].*)?$(?:\n[ \t]*(?://|#)(?:[ \t].*)?$)*|(?://|#)[ \t].*$)`)

// replaceComments calls replace with each comment of a source and with what is before it on its line.
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

// paragraphs are those of a comment, each in one line unless a tab says that it is laid out.
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

// translate puts the texts of comments.es.json in the place of theirs, if the handout is to be Spanish.
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

// room is how long a comment's lines may be.
func room(file, before, comment string) int {
	width := 120
	if ext := filepath.Ext(file); ext == ".c" || ext == ".h" || file == "Makefile" {
		width = 79
	}
	isBlock := strings.HasPrefix(comment, "/*")
	if !isBlock && strings.TrimSpace(before) != "" {
		return math.MaxInt // it cannot go on in the next line
	}
	if isBlock && !strings.HasPrefix(comment, "/*\n") {
		width -= len(" */")
	}
	before = strings.Replace(before, "//"+markInstead+" ", "", 1)
	return width - utf8.RuneCountInString(strings.ReplaceAll(before, "\t", "    ")+"// ")
}

// layOut makes a comment of lines, in the form of another one, behind what is before that on its line.
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
