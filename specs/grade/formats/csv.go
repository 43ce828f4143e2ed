package formats

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
)

// writeTable writes CSV without formulas.
func writeTable(file string, lines [][]string) error {
	for _, line := range lines {
		for i := range line {
			line[i] = cell(line[i])
		}
	}
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(lines); err != nil {
		return err
	}
	return write(file, b.Bytes())
}

// grades is a table with a line for each submission. What was not judged has an empty cell. A fault that comes and goes
// is told in words: a spreadsheet would read 3/5 as a date.
func grades(c class.Class) [][]string {
	head := []string{"name", "total", "max", "verdict"}
	for _, row := range c.Rubric {
		head = append(head, row.ID)
	}
	lines := [][]string{append(head, "adjusted", "unsteady", "why")}
	for _, s := range c.Submissions {
		lines = append(lines, gradesOf(s, c))
	}
	return lines
}

func gradesOf(s class.Submission, c class.Class) []string {
	total, of, verdict := "", "", string(s.Verdict)
	got, max, given := s.Points(c.Rubric)
	switch {
	case given && s.Undecided():
		verdict = "needs-a-look"
	case given:
		total, of = strconv.Itoa(got), strconv.Itoa(max)
	}
	line := []string{s.Name.String(), total, of, verdict}
	var unsteady []string
	for _, row := range c.Rubric {
		found, _ := s.Row(row.ID)
		points := ""
		switch {
		case !given:
		case found.Status == class.Passed:
			points = strconv.Itoa(row.Points)
		case found.Status == class.Failed:
			points = "0"
		}
		line = append(line, points)
		if s.Unsteady(found) {
			unsteady = append(unsteady, fmt.Sprintf("%s %d of %d", row.ID, found.Passes, s.Runs))
		}
	}
	return append(line, adjusted(s, "en"), strings.Join(unsteady, "; "), finding.Plain(s.Why))
}

// cell keeps a spreadsheet from taking a text for a formula, with the quote that spreadsheets take for "text"
// themselves. The full-width signs start formulas in some of their languages.
func cell(text string) string {
	if strings.IndexAny(text, "\t\r\n'") == 0 {
		text = "'" + text
	}
	return formula.ReplaceAllString(text, "$1'$2")
}

// formula is where one begins, also in a spreadsheet whose language has a comma in numbers and separates cells by
// something else: it does not see the quotes of CSV in the middle of what it takes for a cell.
var formula = regexp.MustCompile(`(^|[;\t\r\n])([-=+@＝＋－＠]+)`)
