package alike_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"daemonlab/specs/grade/alike"
)

// folder makes a side of files, whose contents follow their names.
func folder(t testing.TB, name string, files ...string) alike.Side {
	t.Helper()
	root := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(root, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return alike.Side{Name: name, Root: root}
}

// program is Go or C of so many statements, of which no two programs of other seeds have many in a row.
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
		percent int    // of a, at least; 0: not told
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
		var handouts []alike.Side
		if test.handout != nil {
			handouts = append(handouts, folder(t, "handout", test.handout...))
		}
		r, err := alike.Compare([]alike.Side{folder(t, "a", test.a...), folder(t, "b", test.b...)}, handouts)
		switch {
		case err != nil:
			t.Errorf("%s: %v", test.what, err)
		case test.percent == 0 && len(r.Pairs) > 0:
			t.Errorf("%s: %+v", test.what, r.Pairs)
		case test.percent == 0:
		case len(r.Pairs) != 1 || r.Pairs[0].OfA < test.percent || !strings.HasPrefix(r.Pairs[0].Passages[0].A.String(), test.placeA) ||
			!strings.HasPrefix(r.Pairs[0].Passages[0].B.String(), test.placeB):
			t.Errorf("%s: %+v", test.what, r.Pairs)
		}
	}
}

// What many have is what the course taught.
func TestWhatManyHaveIsLeftOut(t *testing.T) {
	var sides []alike.Side
	for i := range 12 {
		own := program(100+i/2, 20, "own", "")
		sides = append(sides, folder(t, fmt.Sprint(i), "a.c", program(1, 30, "taught", "")+own))
	}
	r, err := alike.Compare(sides, nil)
	if err != nil || len(r.Pairs) != 6 || r.Common == 0 {
		t.Fatalf("%d pairs, %d are common, %v", len(r.Pairs), r.Common, err)
	}
	for _, p := range r.Pairs {
		if p.A[0]+1 != p.B[0] && p.A != "10" || p.OfA > 60 {
			t.Errorf("%+v", p)
		}
	}
}

func TestItStaysInsideAndSaysWhatItDidNotRead(t *testing.T) {
	mine := program(1, 30, "mine", "")
	secret := folder(t, "secret", "s.c", mine)
	a := folder(t, "a", "big.c", strings.Repeat(" ", 1<<20)+mine, "program", "\x7fELF\x00")
	for link, to := range map[string]string{"s.c": secret.Root + "/s.c", "dir": secret.Root, "up": "../../.."} {
		if err := os.Symlink(to, filepath.Join(a.Root, link)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := alike.Compare([]alike.Side{a, secret}, nil)
	if err != nil || len(r.Pairs) > 0 {
		t.Errorf("%+v, %v", r.Pairs, err)
	}
	if said := strings.Join(r.Skipped, "\n"); len(r.Skipped) != 2 || !strings.Contains(said, "big.c") || !strings.Contains(said, "program") {
		t.Errorf("not read: %q", r.Skipped)
	}
}

// A class of 200 in which each has copied a part.
func TestAClassOf200IsComparedInBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it compares 200 submissions")
	}
	var sides []alike.Side
	for i := range 200 {
		sides = append(sides, folder(t, fmt.Sprint(i), "own.c", program(1000+i, 300, "own", ""), "copied.c", program(i/2, 100, "copied", "")))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	r, err := alike.Compare(sides, nil)
	runtime.ReadMemStats(&after)
	if err != nil || len(r.Pairs) != 100 {
		t.Errorf("%d pairs, %v", len(r.Pairs), err)
	}
	t.Logf("%v, %d MiB allocated, %d MiB from the system", time.Since(begin), (after.TotalAlloc-before.TotalAlloc)>>20, after.Sys>>20)
	if after.Sys > 1<<30 {
		t.Errorf("it took %d MiB", after.Sys>>20)
	}
}
