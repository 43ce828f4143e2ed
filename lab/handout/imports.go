package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
)

// tidyGo takes out the imports that nothing uses any more, without which the file would not build, and formats it.
func tidyGo(file string, source []byte) ([]byte, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok {
				used[x.Name] = true
			}
		}
		return true
	})
	lines := bytes.SplitAfter(source, []byte("\n"))
	for _, spec := range parsed.Imports {
		if name := importName(spec); name != "_" && !used[name] {
			lines[set.Position(spec.Pos()).Line-1] = nil
		}
	}
	return format.Source(emptyImports.ReplaceAll(bytes.Join(lines, nil), []byte("\n")))
}

func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	name, _ := strconv.Unquote(spec.Path.Value) // the parser has accepted it
	return path.Base(name)
}

// emptyImports is a declaration that has nothing left in it. gofmt does the rest.
var emptyImports = regexp.MustCompile(`\nimport \(\s*\)\n`)
