// Package guide_test keeps the lab's guide true: its commands run, its links lead somewhere, its languages say the same
// and agree with the rubric.
package guide_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"daemonlab/specs/rubric"
)

const root = "../../lab/guide"

var languages = []string{"en", "es"}

func TestBothLanguagesHaveTheSameSections(t *testing.T) {
	english, spanish := pages(t, "en"), pages(t, "es")
	if !slices.Equal(slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(spanish))) {
		t.Fatalf("pages differ: %v, %v", slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(spanish)))
	}
	for name, en := range english {
		if why := differ(outline(en), outline(spanish[name])); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
}

// outline is what does not depend on the language: levels of headings and the code in them, blocks, rows of tables.
func outline(p page) (all []string) {
	for _, h := range p.headings {
		all = append(all, fmt.Sprintf("heading %d %v", h.level, codes(h.text)))
	}
	for _, b := range p.blocks {
		all = append(all, fmt.Sprintf("block %s: %s", b.language, b.essence()))
	}
	for _, l := range p.prose {
		if strings.HasPrefix(l.text, "|") {
			all = append(all, fmt.Sprintf("table row of %d cells", strings.Count(l.text, " | ")+1))
		}
	}
	return all
}

var wordy = regexp.MustCompile(`'[^']*'|/\*.*?\*/|(^|\s)#.*| --lang es`)

// essence is a block of commands without what is translated in it: texts, comments and what asks for Spanish.
func (b block) essence() string {
	if b.language == "text" {
		return fmt.Sprint(len(b.lines), " lines")
	}
	var all []string
	for _, l := range b.lines {
		if l = wordy.ReplaceAllString(l, ""); strings.TrimSpace(l) != "" {
			all = append(all, l)
		}
	}
	return strings.Join(all, "\n")
}

func differ(a, b []string) string {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return fmt.Sprintf("only in Spanish: %s", b[i])
		case i >= len(b):
			return fmt.Sprintf("only in English: %s", a[i])
		case a[i] != b[i]:
			return fmt.Sprintf("English has\n%s\nwhere Spanish has\n%s", a[i], b[i])
		}
	}
	return ""
}

// parts are what the section of a row has to say, in its order.
var parts = map[string][]string{
	"en": {"What", "Why", "Without it", "By hand", "Checked by", "Read"},
	"es": {"Qué", "Por qué", "Si falta", "A mano", "Se comprueba con", "Para leer"},
}

func TestEveryRowOfTheRubricHasItsSection(t *testing.T) {
	for _, language := range languages {
		found := map[string]bool{}
		for _, p := range pages(t, language) {
			for id, text := range sections(p) {
				found[id] = true
				at := 0
				for _, part := range parts[language] {
					next := strings.Index(text[at:], "**"+part)
					if next < 0 {
						t.Errorf("%s: section %s: no part %q in its place", p.path, id, part)
						continue
					}
					at += next
				}
				if !strings.Contains(text, "`scripts/specs --id "+id+"`") {
					t.Errorf("%s: section %s: no `scripts/specs --id %s`", p.path, id, id)
				}
			}
		}
		for _, row := range rubric.Standard() {
			if !found[row.ID] {
				t.Errorf("%s: no section for the row %s", language, row.ID)
			}
			delete(found, row.ID)
		}
		for id := range found {
			t.Errorf("%s: there is no row %s", language, id)
		}
	}
}

var rowHeading = regexp.MustCompile("^### `([a-z]+)`: ")

// sections are the texts below the headings that begin with a row's id.
func sections(p page) map[string]string {
	all := map[string]string{}
	id := ""
	for _, l := range p.prose {
		if strings.HasPrefix(l.text, "#") {
			id = ""
		}
		if match := rowHeading.FindStringSubmatch(l.text); match != nil {
			id = match[1]
		}
		if id != "" {
			all[id] += l.text + "\n"
		}
	}
	return all
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, p := range append(everyPage(t), read(t, filepath.Join(root, "README.md")), read(t, "../../README.md")) {
		for _, l := range p.prose {
			for _, match := range link.FindAllStringSubmatch(quoted.ReplaceAllString(l.text, "code"), -1) {
				if err := follow(t, p, match[1]); err != nil {
					t.Errorf("%s:%d: %v", p.path, l.number, err)
				}
			}
		}
	}
}

// follow looks for what a relative link leads to. Students have the guide without the project around it.
func follow(t *testing.T, from page, to string) error {
	if strings.Contains(to, "://") {
		return nil
	}
	file, fragment, _ := strings.Cut(to, "#")
	target := from.path
	if file != "" {
		target = filepath.Join(filepath.Dir(from.path), file)
	}
	if _, err := os.Stat(target); err != nil {
		return err
	}
	inGuide := strings.HasPrefix(target, root+"/")
	if strings.HasPrefix(from.path, root+"/") && filepath.Base(from.path) != "instructor.md" && !inGuide {
		return fmt.Errorf("%s leads out of the guide, and a handout has nothing there", to)
	}
	if fragment == "" {
		return nil
	}
	for _, h := range read(t, target).headings {
		if h.anchor() == fragment {
			return nil
		}
	}
	return fmt.Errorf("%s: there is no such heading", to)
}

var manual = regexp.MustCompile(`^([A-Za-z_][\w.+-]*)\(([1-8])\)$`)

// elsewhere are pages that come with what they describe, not with the manual of the system.
var elsewhere = []string{"strace(1)", "logrotate(8)", "daemon(7)", "sd_notify(3)", "systemd.service(5)", "systemd.exec(5)",
	"docker-run(1)"}

func TestManualPagesExist(t *testing.T) {
	if err := exec.Command("man", "-w", "3", "mq_notify").Run(); err != nil {
		t.Skipf("man -w 3 mq_notify: %v: the Linux man-pages are not installed", err)
	}
	known := map[string]bool{}
	for _, p := range everyPage(t) {
		for _, l := range p.prose {
			for _, code := range codes(l.text) {
				match := manual.FindStringSubmatch(code)
				if match == nil || slices.Contains(elsewhere, code) {
					continue
				}
				if _, ok := known[code]; !ok {
					known[code] = exec.Command("man", "-w", match[2], match[1]).Run() == nil
				}
				if !known[code] {
					t.Errorf("%s:%d: there is no manual page %s", p.path, l.number, code)
				}
			}
		}
	}
}

// quotable are the files that a block of a language is quoted from.
var quotable = map[string]string{"go": "../*_test.go", "diff": "../broken/*.patch"}

func TestQuotedSourcesAreInTheProject(t *testing.T) {
	for _, p := range everyPage(t) {
		for _, b := range p.blocks {
			if pattern, ok := quotable[b.language]; ok && !occurs(t, strings.Join(b.lines, "\n"), pattern) {
				t.Errorf("%s:%d: this is in none of %s", p.path, b.line, pattern)
			}
		}
	}
}

func occurs(t *testing.T, text, pattern string) bool {
	files, err := filepath.Glob(pattern)
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		if strings.Contains(string(content), text) {
			return true
		}
	}
	return false
}

var svgText = regexp.MustCompile(`(?s)(<(?:text|tspan|title|desc)[^>]*>)[^<]*`)

func TestDrawingsDifferInTheirWordsOnly(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "en", "*.svg"))
	must(t, err)
	for _, file := range files {
		english, err := os.ReadFile(file)
		must(t, err)
		spanish, err := os.ReadFile(filepath.Join(root, "es", filepath.Base(file)))
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: not in Spanish", file)
			continue
		}
		must(t, err)
		if svgText.ReplaceAllString(string(english), "$1") != svgText.ReplaceAllString(string(spanish), "$1") {
			t.Errorf("%s: the Spanish drawing is another one", file)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
