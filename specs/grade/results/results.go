// Package results keeps a directory of results whole: class.json, everything that is made from it, and the evidence of
// each submission.
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

	"golang.org/x/sys/unix"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/formats"
	"daemonlab/specs/grade/page"
	"daemonlab/specs/rubric"
)

// Lock keeps other graders out of a directory of results until the file that it returns is closed. It fails with EWOULDBLOCK
// where one is at work. A file system that cannot lock a directory, as NFS, keeps nobody out.
func Lock(out string) (*os.File, error) {
	dir, err := os.Open(out)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("%s: another grader is running there: %w", out, err), dir.Close())
	}
	return dir, nil
}

// Publish writes class.json and all that is made from it into a directory of results.
func Publish(out string, c class.Class) error {
	for _, s := range c.Submissions {
		if err := os.MkdirAll(s.Name.Dir(out), 0o755); err != nil {
			return err
		}
	}
	if err := c.Save(out); err != nil {
		return err
	}
	// JSON cannot hold every byte of a text. What is made of the class is the same now and after a rescore.
	c, err := class.Load(out)
	if err != nil {
		return err
	}
	return errors.Join(formats.Write(out, c), page.Write(out, c))
}

// Rescore counts the points of a directory of results by other weights and publishes them there. Nothing is judged
// again, so every row of the new rubric must have been judged by the old one.
func Rescore(out string, rows []rubric.Row) (class.Class, error) {
	lock, err := Lock(out)
	if err != nil {
		return class.Class{}, fmt.Errorf("rescore: %w", err)
	}
	defer lock.Close()
	c, err := load(out)
	if err != nil {
		return c, fmt.Errorf("rescore: %w", err)
	}
	if id := c.NotJudged(rows); id != "" {
		return c, fmt.Errorf("rescore %s: row %q was not judged", out, id)
	}
	c.Rubric = rows
	return c, Publish(out, c)
}

// load reads a class that is not still being graded.
func load(dir string) (class.Class, error) {
	c, err := class.Load(dir)
	if err == nil && c.Ended.IsZero() {
		err = fmt.Errorf("grading %s has not finished: --resume continues it", dir)
	}
	return c, err
}

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
			return whole, nil, fmt.Errorf("%s and %s have different rubrics; rescore one of them first", dir, parts[0])
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
