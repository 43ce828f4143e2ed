package finding_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// texts are those that the specs and what they stand on say, by the place of their first use.
func texts(t *testing.T) map[string]string {
	found := map[string]string{}
	note := func(e ast.Expr, at string, required bool) {
		text, ok := literal(e)
		if _, known := found[text]; ok && !known && words(text) {
			found[text] = at
		} else if !ok && required {
			t.Errorf("%s: the text is put together while the program runs", at)
		}
	}
	for _, dir := range []string{"../harness", "../judge", "../grade", "../grade/intake"} {
		files(t, dir, false, map[string]int{"finding.Say": 0, "finding.Failed": 1}, note)
	}
	files(t, "../harness", false, map[string]int{"errors.New": 0}, note)
	files(t, "..", true, map[string]int{"say": 0}, note)
	for _, dir := range []string{"../trace", "../trace/birth", "../trace/draw", "../trace/record"} {
		files(t, dir, false, map[string]int{"say": 0, "finding.Say": 0}, note)
	}
	return found
}

func files(t *testing.T, dir string, tests bool, calls map[string]int, note func(e ast.Expr, at string, required bool)) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") != tests {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := ""
			switch f := call.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				if x, ok := f.X.(*ast.Ident); ok {
					name = x.Name + "." + f.Sel.Name
				}
			}
			if i, ok := calls[name]; ok && i < len(call.Args) {
				note(call.Args[i], set.Position(call.Pos()).String(), true)
			}
			return true
		})
	}
}

// literal is a string constant as it stands in the code.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, also := literal(e.Y)
		return left + right, ok && also
	}
	return "", false
}

var verb = regexp.MustCompile(`%[-+# 0]*[0-9.]*[a-zA-Z%]`)

// words reports whether a text has any: what else is in one is the same in all languages.
func words(text string) bool {
	return regexp.MustCompile(`[a-z]{2}`).MatchString(verb.ReplaceAllString(text, ""))
}

func TestEveryTextIsThereInBothLanguages(t *testing.T) {
	content, err := os.ReadFile("es.json")
	if err != nil {
		t.Fatal(err)
	}
	var spanish map[string]string
	if err := json.Unmarshal(content, &spanish); err != nil {
		t.Fatal(err)
	}
	used := texts(t)
	for text, at := range used {
		translated, ok := spanish[text]
		if !ok || translated == "" {
			t.Errorf("%s: no Spanish for %q", at, text)
		} else if !slices.Equal(verb.FindAllString(text, -1), verb.FindAllString(translated, -1)) {
			t.Errorf("%s: %q and %q differ in what they show", at, text, translated)
		}
	}
	for text := range spanish {
		if used[text] == "" {
			t.Errorf("nobody says %q", text)
		}
	}
}
