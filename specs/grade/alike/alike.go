// Package alike finds passages that submissions have in common and that no handout has: by winnowing (Schleimer, Wilkerson
// and Aiken, SIGMOD 2003) over tokens, without comments and with names folded. It says where to look, and nothing of why:
// two may have read the same page, or been shown the same line by you.
package alike

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"slices"
)

// Two fingerprints in a row make a passage, so one of gram+2*window-1 tokens that two have in common is always found. The
// numbers are those of Dolos, a tool for the same.
const (
	gram   = 23
	window = 17
)

// What is read of one side is bounded, so a class of 200 takes at most some 100 MB.
const (
	maxFile   = 1 << 20
	maxFiles  = 2000
	maxTokens = 200_000
)

// What is told is bounded too: the pairs with most in common, and of each its longest passages.
const (
	maxPairs    = 100
	maxPassages = 8
)

// Side is something to compare: a folder, or folders of it, of a submission.
type Side struct {
	Name  string
	Root  string
	Under []string // folders in Root; none: all of it
}

// Report is what the sides have in common.
type Report struct {
	Pairs   []Pair   // most first
	Skipped []string // what was not read, and why
	Common  int      // passages that are left out because many have them
	Many    int      // how many are many
}

// Pair is two sides and what they share, in tokens that are not the handout's.
type Pair struct {
	A, B     string
	OfA, OfB int // percent of each side's own tokens that are in passages of both
	Tokens   int
	Passages []Passage // longest first
	NotShown int       // passages
}

// Passage is in both sides.
type Passage struct {
	Tokens int
	A, B   Place
}

// Place is in a file of a side, from a line to a line.
type Place struct {
	File        string
	First, Last int32
}

func (p Place) String() string { return fmt.Sprintf("%s:%d-%d", p.File, p.First, p.Last) }

// fingerprint is a gram that winnowing has chosen.
type fingerprint struct {
	hash        uint64
	file        int32
	first, last int32 // lines
	from, to    int32 // the gram in tokens of the side that are its own
}

// side is what is kept of one.
type side struct {
	Side
	files  []string
	prints []fingerprint
	own    int32 // tokens that no handout has
}

// Compare finds what sides have in common, but for what is in a handout.
func Compare(sides, handouts []Side) (Report, error) {
	var report Report
	given := map[uint64]bool{}
	for _, h := range handouts {
		_, err := read(h, &report, func(_ *side, _ int32, all []token) {
			for _, hash := range grams(all) {
				given[hash] = true
			}
		})
		if err != nil {
			return report, err
		}
	}
	var all []*side
	for _, s := range sides {
		kept, err := read(s, &report, func(s *side, file int32, all []token) { s.winnow(file, all, given) })
		if err != nil {
			return report, err
		}
		all = append(all, kept)
	}
	report.pairs(all)
	return report, nil
}

// read gives each source of a side to a function. It stays inside the side's root, and passes over what is no source.
func read(s Side, report *Report, each func(s *side, file int32, all []token)) (*side, error) {
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	kept := &side{Side: s}
	if len(s.Under) == 0 {
		s.Under = []string{"."}
	}
	left := maxTokens
	for _, under := range s.Under {
		err := fs.WalkDir(root.FS(), under, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				report.Skipped = append(report.Skipped, fmt.Sprintf("%s: %v", s.Name, err))
				return nil
			case e.IsDir() && name != "." && (e.Name()[0] == '.' || e.Name() == "vendor" || e.Name() == "node_modules"):
				return fs.SkipDir
			case !e.Type().IsRegular():
				return nil
			case len(kept.files) == maxFiles || left == 0:
				report.Skipped = append(report.Skipped, fmt.Sprintf("%s: %s and what follows: too much", s.Name, name))
				return fs.SkipAll
			}
			text, err := source(root, name)
			if err != nil {
				report.Skipped = append(report.Skipped, fmt.Sprintf("%s: %s: %v", s.Name, name, err))
				return nil
			}
			found := tokens(name, text, left)
			left -= len(found)
			kept.files = append(kept.files, name)
			each(kept, int32(len(kept.files)-1), found)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", s.Name, err)
		}
	}
	return kept, nil
}

var errTooLarge, errBinary = errors.New("larger than 1 MiB"), errors.New("binary")

func source(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case bytes.IndexByte(text, 0) >= 0:
		return nil, errBinary
	case len(text) > maxFile:
		return nil, errTooLarge
	}
	return text, nil
}

// grams yields the hash of each run of tokens, by its first.
func grams(all []token) func(func(int, uint64) bool) {
	const base = 0x9e3779b97f4a7c15 | 1
	return func(yield func(int, uint64) bool) {
		var hash, highest uint64 = 0, 1
		for range gram {
			highest *= base
		}
		for i, t := range all {
			hash = hash*base + t.code
			if i >= gram {
				hash -= highest * all[i-gram].code
			}
			if i >= gram-1 && !yield(i-gram+1, bits.RotateLeft64(hash*base, 29)*base) { // mixed, for the least is chosen
				return
			}
		}
	}
}

// winnow keeps the least of each window of grams that no handout has; of equal ones the last.
func (s *side) winnow(file int32, all []token, given map[uint64]bool) {
	var hashes []uint64
	for _, hash := range grams(all) {
		hashes = append(hashes, hash)
	}
	ownBefore := make([]int32, len(all)+1) // tokens of the side before each of the file
	ownBefore[0] = s.own
	handouts := 0 // the tokens before this one are in a gram of a handout
	for i := range all {
		if i < len(hashes) && given[hashes[i]] {
			handouts = i + gram
		}
		ownBefore[i+1] = ownBefore[i]
		if i >= handouts {
			ownBefore[i+1]++
		}
	}
	s.own = ownBefore[len(all)]
	chosen := -1
	for end := min(window, len(hashes)); end <= len(hashes) && end > 0; end++ {
		least := -1
		for i := max(0, end-window); i < end; i++ {
			if !given[hashes[i]] && (least < 0 || hashes[i] <= hashes[least]) {
				least = i
			}
		}
		if least > chosen {
			chosen = least
			s.prints = append(s.prints, fingerprint{hashes[chosen], file, all[chosen].line, all[chosen+gram-1].line,
				ownBefore[chosen], ownBefore[chosen+gram]})
		}
	}
}

// pairs finds the sides that share most.
func (r *Report) pairs(all []*side) {
	having := map[uint64][]int32{}
	for i, s := range all {
		for _, p := range s.prints {
			if has := having[p.hash]; len(has) == 0 || has[len(has)-1] != int32(i) {
				having[p.hash] = append(has, int32(i))
			}
		}
	}
	r.Many = max(10, len(all)/5)
	shared := map[[2]int32]int{}
	for hash, has := range having {
		if len(has) > r.Many {
			r.Common++
			delete(having, hash)
			continue
		}
		for i, a := range has {
			for _, b := range has[i+1:] {
				shared[[2]int32{a, b}]++
			}
		}
	}
	var most [][2]int32
	for pair := range shared {
		most = append(most, pair)
	}
	slices.SortFunc(most, func(a, b [2]int32) int {
		return cmp.Or(shared[b]-shared[a], slices.Compare(a[:], b[:]))
	})
	for _, pair := range most[:min(len(most), maxPairs)] {
		a, b := all[pair[0]], all[pair[1]]
		p := Pair{A: a.Name, B: b.Name}
		p.Passages = passages(a, b, having)
		for _, in := range p.Passages {
			p.Tokens += in.Tokens
		}
		if p.Tokens == 0 {
			continue
		}
		p.OfA, p.OfB = percent(p.Tokens, a.own), percent(p.Tokens, b.own)
		p.NotShown = max(0, len(p.Passages)-maxPassages)
		p.Passages = p.Passages[:len(p.Passages)-p.NotShown]
		r.Pairs = append(r.Pairs, p)
	}
	slices.SortStableFunc(r.Pairs, func(a, b Pair) int { return b.Tokens - a.Tokens })
}

func percent(part int, whole int32) int { return min(100, part*100/max(1, int(whole))) }

// passages joins the fingerprints of both sides that follow one another in both.
func passages(a, b *side, having map[uint64][]int32) (found []Passage) {
	inB := map[uint64][]fingerprint{}
	for _, p := range b.prints {
		if len(inB[p.hash]) < maxPassages { // of a passage that comes again and again some are enough
			inB[p.hash] = append(inB[p.hash], p)
		}
	}
	var begin, last [2]fingerprint // the passage that is open, in both
	end := func() {
		if n := min(last[0].to-begin[0].from, last[1].to-begin[1].from); n > gram {
			found = append(found, Passage{int(n), Place{a.files[begin[0].file], begin[0].first, last[0].last},
				Place{b.files[begin[1].file], begin[1].first, last[1].last}})
		}
	}
	for _, p := range a.prints {
		if _, counts := having[p.hash]; !counts || len(inB[p.hash]) == 0 {
			continue
		}
		follows := slices.IndexFunc(inB[p.hash], func(q fingerprint) bool {
			return p.file == last[0].file && q.file == last[1].file && p.from < last[0].to+window && q.from >= last[1].from &&
				q.from < last[1].to+window && last[0].hash != 0
		})
		q := inB[p.hash][max(0, follows)]
		if follows < 0 {
			end()
			begin = [2]fingerprint{p, q}
		}
		last = [2]fingerprint{p, q}
	}
	end()
	slices.SortStableFunc(found, func(a, b Passage) int { return b.Tokens - a.Tokens })
	return found
}
