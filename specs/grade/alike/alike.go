// Package alike finds passages that submissions share and no handout contains, by winnowing (Schleimer, Wilkerson and
// Aiken, SIGMOD 2003) over tokens, ignoring comments and names. It says where to look, not why: two students may have
// read the same page.
package alike

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// A passage takes two consecutive fingerprints, so any gram+2*window-1 tokens in common are found. The values are those
// of Dolos, a tool for the same purpose.
const (
	gram   = 23
	window = 17
)

// Limits of the report: the pairs that share most, and the longest passages of each.
const (
	maxPairs    = 100
	maxPassages = 8
)

// Class is a set of submissions to compare.
type Class struct {
	sides []*side
	given map[uint64]bool // grams of handouts
}

// side is one submission.
type side struct {
	name   string
	files  []string
	prints []fingerprint
	own    int32 // tokens outside any handout
}

// fingerprint is a gram selected by winnowing.
type fingerprint struct {
	hash        uint64
	file        int32
	first, last int32 // lines
	from, to    int32 // offsets in the side's own tokens
}

// Pair is two submissions and what they share, counted in tokens outside any handout.
type Pair struct {
	A, B     string
	OfA, OfB int // percent of each one's own tokens in shared passages
	Tokens   int
	Passages []Passage // longest first
}

// Passage is a shared passage, located as in server/main.go:10-52.
type Passage struct {
	Tokens int
	A, B   string
}

// Handout excludes the contents of a folder from every submission added later.
func (c *Class) Handout(dir string) error {
	if c.given == nil {
		c.given = map[uint64]bool{}
	}
	_, err := read(dir, func(_ string, all []token) {
		for _, hash := range grams(all) {
			c.given[hash] = true
		}
	})
	return err
}

// Add adds a submission, a folder, and returns what it could not read.
func (c *Class) Add(name, dir string) (skipped []string, err error) {
	s := &side{name: name}
	c.sides = append(c.sides, s)
	return read(dir, func(file string, all []token) {
		s.files = append(s.files, file)
		s.winnow(all, c.given)
	})
}

// grams yields the hash of each run of gram tokens, mixed because winnowing picks the smallest.
func grams(all []token) func(func(int, uint64) bool) {
	const base = 0x9e3779b97f4a7c15
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
			if i >= gram-1 && !yield(i-gram+1, bits.RotateLeft64(hash*base, 29)*base) {
				return
			}
		}
	}
}

// winnow keeps the smallest hash of each window, the last of equal ones, ignoring grams of handouts.
func (s *side) winnow(all []token, given map[uint64]bool) {
	var hashes []uint64
	for _, hash := range grams(all) {
		hashes = append(hashes, hash)
	}
	before := make([]int32, len(all)+1) // own tokens before each
	before[0] = s.own
	handouts := 0 // tokens before this index belong to a gram of a handout
	for i := range all {
		if i < len(hashes) && given[hashes[i]] {
			handouts = i + gram
		}
		before[i+1] = before[i]
		if i >= handouts {
			before[i+1]++
		}
	}
	s.own = before[len(all)]
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
			s.prints = append(s.prints, fingerprint{hashes[chosen], int32(len(s.files) - 1), all[chosen].line,
				all[chosen+gram-1].line, before[chosen], before[chosen+gram]})
		}
	}
}

// Pairs returns the pairs that share most, in descending order. What more than a fifth of the class has is taken for
// course material and left out.
func (c *Class) Pairs() (pairs []Pair) {
	having := map[uint64][]int32{}
	for i, s := range c.sides {
		for _, p := range s.prints {
			if has := having[p.hash]; len(has) == 0 || has[len(has)-1] != int32(i) {
				having[p.hash] = append(has, int32(i))
			}
		}
	}
	shared := map[[2]int32]int{}
	for hash, has := range having {
		if len(has) > max(10, len(c.sides)/5) {
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
	slices.SortFunc(most, func(a, b [2]int32) int { return cmp.Or(shared[b]-shared[a], slices.Compare(a[:], b[:])) })
	for _, pair := range most[:min(len(most), maxPairs)] {
		a, b := c.sides[pair[0]], c.sides[pair[1]]
		p := Pair{A: a.name, B: b.name, Passages: passages(a, b, having)}
		for _, in := range p.Passages {
			p.Tokens += in.Tokens
		}
		p.OfA, p.OfB = min(100, p.Tokens*100/max(1, int(a.own))), min(100, p.Tokens*100/max(1, int(b.own)))
		p.Passages = p.Passages[:min(len(p.Passages), maxPassages)]
		if p.Tokens > 0 {
			pairs = append(pairs, p)
		}
	}
	slices.SortStableFunc(pairs, func(a, b Pair) int { return b.Tokens - a.Tokens })
	return pairs
}

// passages joins fingerprints that are consecutive in both.
func passages(a, b *side, having map[uint64][]int32) (found []Passage) {
	inB := map[uint64][]fingerprint{}
	for _, p := range b.prints {
		if len(inB[p.hash]) < maxPassages { // a few of a repeated one are enough
			inB[p.hash] = append(inB[p.hash], p)
		}
	}
	place := func(s *side, first, last fingerprint) string {
		return fmt.Sprintf("%s:%d-%d", s.files[first.file], first.first, last.last)
	}
	var begin, last [2]fingerprint // the open passage, in both
	end := func() {
		if n := min(last[0].to-begin[0].from, last[1].to-begin[1].from); n > gram {
			found = append(found, Passage{int(n), place(a, begin[0], last[0]), place(b, begin[1], last[1])})
		}
	}
	for _, p := range a.prints {
		if having[p.hash] == nil || inB[p.hash] == nil {
			continue
		}
		follows := slices.IndexFunc(inB[p.hash], func(q fingerprint) bool {
			return p.file == last[0].file && p.from < last[0].to+window && q.file == last[1].file && q.from >= last[1].from &&
				q.from < last[1].to+window
		})
		q := inB[p.hash][max(0, follows)]
		if follows < 0 || last[0].hash == 0 {
			end()
			begin = [2]fingerprint{p, q}
		}
		last = [2]fingerprint{p, q}
	}
	end()
	slices.SortStableFunc(found, func(a, b Passage) int { return b.Tokens - a.Tokens })
	return found
}
