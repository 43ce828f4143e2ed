package alike

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"text/scanner"

	"daemonlab/specs/finding"
)

// Limits per folder, so that a class of 200 takes about 100 MB at most.
const (
	maxFile   = 1 << 20
	maxFiles  = 2000
	maxTokens = 200_000
)

// read calls a function with each source in a folder. It does not leave the folder.
func read(dir string, each func(file string, all []token)) (skipped []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files, left := 0, maxTokens
	err = fs.WalkDir(root.FS(), ".", func(file string, e fs.DirEntry, err error) error {
		skip := func(why any) { skipped = append(skipped, finding.Escape(fmt.Sprintf("%s: %v", file, why), "")) }
		switch {
		case err != nil:
			skip(err)
			return nil
		case e.IsDir() && file != "." && (e.Name()[0] == '.' || e.Name() == "vendor"):
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		case files == maxFiles || left == 0:
			skip("with all that follows: too much")
			return fs.SkipAll
		}
		var text []byte
		info, err := e.Info()
		large := err == nil && info.Size() > maxFile
		if err == nil && !large {
			text, err = root.ReadFile(file)
		}
		switch {
		case err != nil:
			skip(err)
		case large:
			skip("larger than 1 MiB")
		case bytes.IndexByte(text, 0) >= 0:
			skip("no text")
		default:
			all := tokens(file, text, left)
			files, left = files+1, left-len(all)
			each(finding.Escape(file, ""), all)
		}
		return nil
	})
	return skipped, err
}

// token is a word or sign of a source: its code after folding names, and its line.
type token struct {
	code uint64
	line int32
}

var (
	likeC  = strings.Fields(".c .h .cc .cpp .cxx .hh .hpp .go .rs .java .cs .js .ts .zig")
	likeSh = strings.Fields(".py .rb .pl .lua")
	// keywords, of C, Go and similar languages, are not folded: they are the shape of a program.
	keywords = strings.Fields(`break case chan class const continue default def defer do else enum except fallthrough for
		func go goto if import in interface let map match package range return select sizeof static struct switch try type
		typedef union var void while with yield`)
)

// tokens splits a source into tokens. In programs comments are dropped, and all names are equal, and all literals. In
// prose and Makefiles words are kept as they are.
func tokens(name string, text []byte, most int) (all []token) {
	ext := strings.ToLower(path.Ext(name))
	program := slices.Contains(likeC, ext) || slices.Contains(likeSh, ext)
	var s scanner.Scanner
	s.Init(bytes.NewReader(text))
	s.Error = func(*scanner.Scanner, string) {} // the source need not compile
	s.Mode = scanner.ScanIdents | scanner.ScanInts
	if program {
		s.Mode |= scanner.ScanFloats | scanner.ScanChars | scanner.ScanStrings
	}
	if slices.Contains(likeC, ext) {
		s.Mode |= scanner.ScanRawStrings | scanner.ScanComments | scanner.SkipComments
	}
	for kind := s.Scan(); kind != scanner.EOF && len(all) < most; kind = s.Scan() {
		if kind == '#' && !slices.Contains(likeC, ext) {
			for c := s.Next(); c != '\n' && c != scanner.EOF; c = s.Next() {
			}
			continue
		}
		word := s.TokenText()
		switch {
		case !program || slices.Contains(keywords, word):
		case kind == scanner.Ident:
			word = "name"
		case kind < 0:
			word = "literal"
		}
		hash := fnv.New64a()
		hash.Write([]byte(word))
		all = append(all, token{hash.Sum64(), int32(s.Position.Line)})
	}
	return all
}
