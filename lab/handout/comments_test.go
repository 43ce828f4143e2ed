package main

import (
	"regexp"
	"strings"
	"testing"
)

// Reports changed comments, with the text that comments.es.json needs.
func TestEveryCommentOfAHandoutHasItsSpanish(t *testing.T) {
	table := newTodos("es")
	must(t, table.err)
	unused := table.comments
	letters := regexp.MustCompile(`\pL\pL`)
	known := map[string]bool{}
	check := func(files []file) {
		for _, f := range files {
			if f.path == "README.md" {
				continue
			}
			replaceComments(string(f.content), func(_, comment string) string {
				for _, text := range paragraphs(comment) {
					if _, found := unused[text]; !found && !known[text] && letters.MatchString(text) {
						t.Errorf("%s: comments.es.json has no Spanish for %q", f.path, text)
					}
					known[text] = true
					delete(unused, text)
				}
				return comment
			})
		}
	}
	for language, all := range parts {
		o := options{project: project, language: language, lang: "en"}
		for _, p := range all {
			if files, _, err := o.sources(p, new(todos)); p.solution { // no TODOs: those are the rubric's
				must(t, err)
				check(files)
			}
		}
		given, err := o.given()
		must(t, err)
		check(given)
	}
	for text := range unused {
		t.Errorf("comments.es.json: no handout has %q", text)
	}
}

func TestASpanishCommentHasTheFormOfTheEnglishOne(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("palabra ", 10))
	todo := &todos{comments: map[string]string{
		"a b": long, "c": "ce", "x:": "equis:", "\t1  a\n\t2  b": "\t1  uno\n\t2  dos",
	}}
	for _, c := range []struct{ file, en, es string }{
		{"a.c", "/* a\n * b */\n", "/* palabra palabra palabra palabra palabra palabra palabra palabra palabra\n * palabra */\n"},
		{"a.c", "/*\n * a b\n *\n * c\n */\n",
			"/*\n * palabra palabra palabra palabra palabra palabra palabra palabra palabra\n * palabra\n *\n * ce\n */\n"},
		{"a.h", "void f(void);  /* a\n                 b */\nint g; /* 7 */ /* c */\n",
			"void f(void);  /* palabra palabra palabra palabra palabra palabra palabra\n" +
				"                  palabra palabra palabra */\nint g; /* 7 */ /* ce */\n"},
		{"a.c", "//lab:instead f(\"/* c */\", '\"'); /* c */\n", "//lab:instead f(\"/* c */\", '\"'); /* ce */\n"},
		{"a.go", "\t// x:\n\t//\n\t//\t1  a\n\t//\t2  b\n\t//\n\t// c\n", "\t// equis:\n\t//\n\t//\t1  uno\n\t//\t2  dos\n\t//\n\t// ce\n"},
		{"a.go", "x := `\n// c\n` + \"// c\" // c\ny := 1 // a b\n", "x := `\n// c\n` + \"// c\" // ce\ny := 1 // " + long + "\n"},
		{"Makefile", "all: # c\n# a\n# b\n", "all: # ce\n# palabra palabra palabra palabra palabra palabra palabra palabra palabra\n# palabra\n"},
	} {
		if es := string(todo.translate(c.file, []byte(c.en))); es != c.es {
			t.Errorf("%s: %q became\n%q, not\n%q", c.file, c.en, es, c.es)
		}
	}
}
