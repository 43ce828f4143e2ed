package results

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"daemonlab/specs/grade/class"
)

// Merge makes one class of those that several machines graded parts of, and publishes it in a new directory with the
// evidence of all. It refuses parts that were not judged by the same rubric and kit, and a submission that is in two.
func Merge(out string, parts []string) (class.Class, error) {
	// Evidence from elsewhere must not lie among that of the parts.
	if left, err := os.ReadDir(out); len(left) > 0 {
		return class.Class{}, fmt.Errorf("merge into %s: %w", out, fs.ErrExist)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return class.Class{}, err
	}
	whole, from, err := join(parts)
	if err != nil {
		return whole, fmt.Errorf("merge: %w", err)
	}
	for _, s := range whole.Submissions {
		if err := os.CopyFS(s.Name.Dir(out), os.DirFS(s.Name.Dir(from[s.Name]))); err != nil {
			return whole, fmt.Errorf("merge the evidence of %s: %w", s.Name, err)
		}
	}
	return whole, Publish(out, whole)
}

// join returns the class of the parts, and in which of them each submission is.
func join(parts []string) (whole class.Class, from map[class.Name]string, err error) {
	from = map[class.Name]string{}
	for i, dir := range parts {
		part, err := load(dir)
		if err != nil {
			return whole, nil, err
		}
		if i == 0 {
			whole = part
			whole.Submissions = nil
		}
		switch {
		case part.Kit != whole.Kit:
			return whole, nil, fmt.Errorf("%s was graded by version %q of the kit, %s by %q", dir, part.Kit, parts[0], whole.Kit)
		case !reflect.DeepEqual(part.Rubric, whole.Rubric):
			return whole, nil, fmt.Errorf("%s has another rubric than %s; rescore one of them first", dir, parts[0])
		}
		for _, s := range part.Submissions {
			if first, ok := from[s.Name]; ok {
				return whole, nil, fmt.Errorf("%s is in %s and in %s", s.Name, first, dir)
			}
			from[s.Name] = dir
		}
		whole.Submissions = append(whole.Submissions, part.Submissions...)
		if part.Began.Before(whole.Began) {
			whole.Began = part.Began
		}
		if part.Ended.After(whole.Ended) {
			whole.Ended = part.Ended
		}
		if !strings.Contains(whole.Machine, part.Machine) {
			whole.Machine += "; " + part.Machine
		}
	}
	slices.SortFunc(whole.Submissions, func(a, b class.Submission) int { return cmp.Compare(a.Name, b.Name) })
	return whole, from, nil
}
