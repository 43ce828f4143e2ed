package alike_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/alike"
)

var must = check.Must

// folder makes a folder of files, given as names and contents in turn.
func folder(t testing.TB, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		check.Files(t, root, files[i+1], 0o644, files[i])
	}
	return root
}

func add(t testing.TB, c *alike.Class, name, dir string) []string {
	t.Helper()
	skipped, err := c.Add(name, dir)
	must(t, err)
	return skipped
}

// program returns Go or C with the given number of statements; programs of different seeds share no long run of them.
func program(seed, statements int, name, comment string) string {
	random := uint32(seed)*2654435761 + 1
	var b strings.Builder
	fmt.Fprintf(&b, "int %s(int argc) {\n", name)
	for range statements {
		fmt.Fprintf(&b, "\t%s%s\n", name, comment)
		for range 3 + random>>28 {
			random = random*1664525 + 1013904223
			fmt.Fprintf(&b, " %c %s", "+-*/%&|^<>=.,?:"[random>>28%15], []string{name, "7", "(" + name + ")", "sizeof"}[random>>20%4])
		}
		b.WriteString(";\n")
	}
	return b.String() + "}\n"
}

func TestAlike(t *testing.T) {
	mine, handout := program(1, 30, "serve", ""), program(9, 30, "given", "")
	prose := "a daemon leaves the terminal that started it, forks so that it leads no session, closes what was open, and goes to " +
		"the root so that nothing stays mounted for its sake; then it writes its number into a file, which it locks, and waits for " +
		"messages: each names a file, and a thread sends it, piece by piece, with a priority that says what a message is."
	for _, test := range []struct {
		what    string
		a, b    []string
		handout []string
		percent int    // of a, at least; 0: not reported
		placeA  string // of the longest passage
		placeB  string
	}{
		{"the same", []string{"a.c", mine}, []string{"b.c", mine}, nil, 90, "a.c:1-", "b.c:1-"},
		{"other names, comments, layout and numbers", []string{"a.c", mine},
			[]string{"src/b.c", "/* mine,\nI wrote it */\n" + strings.ReplaceAll(program(1, 30, "work", " // own work"), "7", "0x1f")}, nil,
			90, "a.c:1-", "src/b.c:3-"},
		{"a part, elsewhere", []string{"a.c", mine}, []string{"b.c", program(2, 40, "x", "") + mine}, nil, 90, "a.c:", "b.c:8"},
		{"other programs", []string{"a.c", mine}, []string{"b.c", program(2, 30, "serve", "")}, nil, 0, "", ""},
		{"only the handout's", []string{"a.c", handout + mine}, []string{"b.c", handout + program(2, 30, "x", "")},
			[]string{"h.c", handout}, 0, "", ""},
		{"more than the handout's", []string{"a.c", handout + mine}, []string{"b.c", handout + mine}, []string{"h.c", handout},
			90, "a.c:6", "b.c:6"},
		{"one word changed in the handout's, by both", []string{"a.c", strings.Replace(handout, ";", ", argc;", 1)},
			[]string{"b.c", strings.Replace(handout, ";", ", argc;", 1)}, []string{"h.c", handout}, 0, "", ""},
		{"prose", []string{"README", prose}, []string{"notes.md", prose}, nil, 20, "README:1-1", "notes.md:1-1"},
		{"prose of other words", []string{"README", prose}, []string{"README", strings.NewReplacer("a", "e", "e", "a").Replace(prose)}, nil, 0, "", ""},
		{"what is no source", []string{"a", mine + "\x00", ".git/a.c", mine, "vendor/a.c", mine}, []string{"b.c", mine}, nil, 0, "", ""},
	} {
		var c alike.Class
		if test.handout != nil {
			must(t, c.Handout(folder(t, test.handout...)))
		}
		add(t, &c, "a", folder(t, test.a...))
		add(t, &c, "b", folder(t, test.b...))
		switch pairs := c.Pairs(); {
		case test.percent == 0 && len(pairs) > 0:
			t.Errorf("%s: %+v", test.what, pairs)
		case test.percent == 0:
		case len(pairs) != 1 || pairs[0].OfA < test.percent || !strings.HasPrefix(pairs[0].Passages[0].A, test.placeA) ||
			!strings.HasPrefix(pairs[0].Passages[0].B, test.placeB):
			t.Errorf("%s: %+v", test.what, pairs)
		}
	}
}

// What many have is course material.
func TestCommonPassagesAreLeftOut(t *testing.T) {
	var c alike.Class
	for i := range 12 {
		add(t, &c, string(rune('a'+i)), folder(t, "a.c", program(1, 30, "taught", "")+program(100+i/2, 20, "own", "")))
	}
	pairs := c.Pairs()
	for _, p := range pairs {
		if p.A[0]+1 != p.B[0] || p.OfA > 60 {
			t.Errorf("%+v", p)
		}
	}
	if len(pairs) != 6 {
		t.Errorf("%d pairs", len(pairs))
	}
}

func TestReadStaysInsideAndReportsWhatItSkips(t *testing.T) {
	mine := program(1, 30, "mine", "")
	secret := folder(t, "s.c", mine)
	dir := folder(t, "big.c", strings.Repeat(" ", 1<<20)+mine, "program\n", "\x7fELF\x00")
	for link, to := range map[string]string{"s.c": secret + "/s.c", "dir": secret, "up": "../../.."} {
		must(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	var c alike.Class
	skipped := add(t, &c, "a", dir)
	add(t, &c, "secret", secret)
	if pairs := c.Pairs(); len(pairs) > 0 {
		t.Errorf("%+v", pairs)
	}
	if want := []string{"big.c: larger than 1 MiB", `program\n: no text`}; !slices.Equal(skipped, want) {
		t.Errorf("not read: %q", skipped)
	}
}

// A class of 200, each of whom copied a part.
func TestClassOf200StaysInBounds(t *testing.T) {
	check.Slow(t)
	var c alike.Class
	begin := time.Now()
	for i := range 200 {
		add(t, &c, fmt.Sprint(i), folder(t, "own.c", program(1000+i, 300, "own", ""), "copied.c", program(i/2, 100, "copied", "")))
	}
	pairs := c.Pairs()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	if t.Logf("%v, %d MiB", time.Since(begin), memory.Sys>>20); len(pairs) != 100 || memory.Sys > 1<<30 {
		t.Errorf("%d pairs", len(pairs))
	}
}
