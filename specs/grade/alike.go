package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/alike"
	"daemonlab/specs/grade/formats"
	"daemonlab/specs/grade/intake"
)

// compare reports what submissions have in common. They are unpacked one at a time.
func (o options) compare() error {
	work, err := os.MkdirTemp("", "daemonlab-alike-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var c alike.Class
	for _, dir := range o.handouts {
		if err := c.Handout(dir); err != nil {
			return fmt.Errorf("handout %s: %w", dir, err)
		}
	}
	for n, path := range o.alike {
		unpacked := filepath.Join(work, fmt.Sprint(n))
		if err := os.Mkdir(unpacked, 0o700); err != nil {
			return err
		}
		items, err := intake.Class(path, o.out, unpacked)
		if err != nil {
			return err
		}
		for _, item := range items {
			name := item.Name.String()
			if len(o.alike) > 1 {
				name = filepath.Base(path) + "/" + name
			}
			for _, skipped := range addTo(&c, name, item, filepath.Join(work, "one")) {
				fmt.Fprintf(os.Stderr, "grade: not compared: %s: %s\n", name, skipped)
			}
		}
	}
	pairs := c.Pairs()
	printPairs(pairs)
	return formats.WriteAlike(o.out, pairs)
}

// addTo adds an item and returns what could not be read of it.
func addTo(c *alike.Class, name string, item intake.Item, work string) []string {
	if item.Stray.EN != "" {
		return []string{item.Stray.EN}
	}
	defer os.RemoveAll(work)
	err := os.Mkdir(work, 0o700)
	if err == nil {
		_, err = item.Unpack(work)
	}
	if err != nil {
		return []string{finding.Plain(err.Error())}
	}
	skipped, err := c.Add(name, work)
	if err != nil {
		skipped = append(skipped, err.Error())
	}
	return skipped
}

func printPairs(pairs []alike.Pair) {
	const most = 30
	fmt.Print("where to look, not a verdict: tokens of their own that two have in common, names and comments apart\n\n")
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "tokens\ta\t% of a\tb\t% of b\tlongest passage in a\tin b")
	for _, p := range pairs[:min(len(pairs), most)] {
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%d\t%s\t%s\n", p.Tokens, p.A, p.OfA, p.B, p.OfB, p.Passages[0].A, p.Passages[0].B)
	}
	t.Flush()
	fmt.Printf("\npairs: %d; alike.csv has all passages\n", len(pairs))
}
