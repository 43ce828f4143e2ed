package finding_test

import (
	"encoding/json"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts are the texts of the specs and their packages, by the place of their first use.
func texts(t *testing.T) map[string]string {
	found := map[string]string{}
	for _, dir := range []string{"..", "../harness", "../judge", "../grade", "../grade/intake", "../trace", "../trace/birth",
		"../trace/draw", "../trace/record"} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if specs := dir == ".."; strings.HasSuffix(path, "_test.go") == specs {
				collect(t, path, found)
			}
		}
	}
	return found
}

// saying gives the index of the text among the arguments of each function that takes one.
var saying = map[string]int{"say": 0, "finding.Say": 0, "finding.Failed": 1, "errors.New": 0}

func collect(t *testing.T, path string, found map[string]string) {
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
		name := types.ExprString(call.Fun)
		i, says := saying[name]
		if !says || name == "errors.New" && filepath.Base(filepath.Dir(path)) != "harness" {
			return true
		}
		at := set.Position(call.Pos()).String()
		text, err := types.Eval(set, nil, token.NoPos, types.ExprString(call.Args[i]))
		if err != nil || text.Value == nil {
			t.Errorf("%s: the text is put together while the program runs", at)
		} else if text := constant.StringVal(text.Value); words(text) && found[text] == "" {
			found[text] = at
		}
		return true
	})
}

var verb = regexp.MustCompile(`%[-+# 0]*[0-9.]*[a-zA-Z%]`)

// words reports whether a text has any; all else is the same in every language.
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
