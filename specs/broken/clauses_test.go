package broken_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"daemonlab/specs/broken"
	"daemonlab/specs/rubric"
)

// clause is a line of clauses.md.
type clause struct {
	text, row string
	programs  []string
	why       string // if there are none
}

func clauses(t *testing.T) (list []clause) {
	content, err := os.ReadFile("clauses.md")
	must(t, err)
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if len(fields) != 5 || strings.HasPrefix(fields[1], "---") || strings.TrimSpace(fields[1]) == "clause" {
			continue
		}
		c := clause{text: strings.TrimSpace(fields[1]), row: strings.TrimSpace(fields[2])}
		if last := strings.TrimSpace(fields[3]); strings.HasPrefix(last, "(") {
			c.why = last
		} else {
			c.programs = strings.Fields(last)
		}
		list = append(list, c)
	}
	return list
}

func TestEveryClauseNamesProgramsThatKillItsRow(t *testing.T) {
	programs := load(t)
	for _, c := range clauses(t) {
		if len(c.programs) == 0 && c.why == "" {
			t.Errorf("%q: no program, and no reason why", c.text)
		}
		for _, name := range c.programs {
			i := slices.IndexFunc(programs, func(p broken.Program) bool { return p.Name == name })
			if i < 0 {
				t.Errorf("%q: there is no program %s", c.text, name)
			} else if !slices.Contains(programs[i].Kills, c.row) {
				t.Errorf("%q: %s does not kill %q", c.text, name, c.row)
			}
		}
	}
}

func TestEveryBrokenProgramBreaksAClause(t *testing.T) {
	programs := load(t)
	list := clauses(t)
	for _, p := range programs {
		for _, row := range p.Kills {
			if !slices.ContainsFunc(list, func(c clause) bool { return c.row == row && slices.Contains(c.programs, p.Name) }) {
				t.Errorf("clauses.md: no line for the row %s names %s", row, p.Name)
			}
		}
	}
	for _, row := range rubric.Standard() {
		if !slices.ContainsFunc(list, func(c clause) bool { return c.row == row.ID }) {
			t.Errorf("clauses.md: no line for the row %s", row.ID)
		}
	}
}
