package guide_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// page is one file of the guide.
type page struct {
	path     string
	headings []heading
	blocks   []block
	prose    []line // outside of blocks
}

type heading struct {
	level int
	text  string
}

// block is a fenced one, such as commands or their output.
type block struct {
	language string
	line     int // of its first line
	lines    []string
}

type line struct {
	number int
	text   string
}

func read(t *testing.T, path string) page {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	p := page{path: path}
	var open *block
	number := 0
	for text := range strings.Lines(string(content)) {
		number++
		text = strings.TrimSuffix(text, "\n")
		fence, isFence := strings.CutPrefix(text, "```")
		switch {
		case isFence && open == nil:
			open = &block{language: fence, line: number + 1}
		case isFence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, text)
		default:
			p.addProse(line{number, text})
		}
	}
	if open != nil {
		t.Errorf("%s:%d: a block without an end", path, open.line)
	}
	return p
}

func (p *page) addProse(l line) {
	p.prose = append(p.prose, l)
	if marks, text, ok := strings.Cut(l.text, " "); ok && marks != "" && strings.Trim(marks, "#") == "" {
		p.headings = append(p.headings, heading{len(marks), text})
	}
}

// pages reads the guide in one language.
func pages(t *testing.T, language string) map[string]page {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, language, "*.md"))
	must(t, err)
	if len(files) == 0 {
		t.Fatalf("no pages in %s", filepath.Join(root, language))
	}
	all := map[string]page{}
	for _, file := range files {
		all[filepath.Base(file)] = read(t, file)
	}
	return all
}

// everyPage is the guide in all languages.
func everyPage(t *testing.T) (all []page) {
	t.Helper()
	for _, language := range languages {
		all = slices.AppendSeq(all, maps.Values(pages(t, language)))
	}
	return all
}

var quoted = regexp.MustCompile("`([^`]+)`")

// codes are what is set as code in a text.
func codes(text string) (all []string) {
	for _, match := range quoted.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// anchor is what a link to the heading says after the #, by GitHub's rules.
func (h heading) anchor() string {
	var b strings.Builder
	for _, r := range strings.ToLower(h.text) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}
