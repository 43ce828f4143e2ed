// Package results keeps a directory of results whole: class.json, everything that is made from it, and the evidence of
// each submission.
package results

import (
	"errors"
	"fmt"
	"os"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/grade/formats"
	"daemonlab/specs/grade/page"
	"daemonlab/specs/rubric"
)

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
		err = fmt.Errorf("grading %s has not ended: --resume goes on with it", dir)
	}
	return c, err
}
