package formats

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/alike"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// writeTable writes CSV with formulas defused.
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

// grades returns a table with a line per submission. Rows not judged have an empty cell. Intermittent faults are put in
// words: a spreadsheet would read 3/5 as a date.
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

// cell keeps spreadsheets from taking a text for a formula, with the apostrophe that they themselves use to mark text.
// The full-width signs start formulas in some locales.
func cell(text string) string {
	if strings.IndexAny(text, "\t\r\n'") == 0 {
		text = "'" + text
	}
	return formula.ReplaceAllString(text, "$1'$2")
}

// formula matches the start of one, also after the separators of locales with a decimal comma: their spreadsheets
// ignore CSV quotes in the middle of what they take for a cell.
var formula = regexp.MustCompile(`(^|[;\t\r\n])([-=+@＝＋－＠]+)`)

// writeImports writes the imports for Moodle and Canvas, if the class came from there, and removes old ones otherwise.
func writeImports(out string, c class.Class) error {
	of := map[string]bool{}
	for _, s := range c.Submissions {
		of[s.Student.Platform] = true
	}
	tables := map[string][][]string{"moodle.en.csv": nil, "moodle.es.csv": nil, "canvas.csv": nil}
	if of["moodle"] {
		tables["moodle.en.csv"], tables["moodle.es.csv"] = moodle(c, "en"), moodle(c, "es")
	}
	if of["canvas"] {
		tables["canvas.csv"] = canvas(c)
	}
	var errs []error
	for name, lines := range tables {
		file := filepath.Join(out, name)
		if lines != nil {
			errs = append(errs, writeTable(file, lines))
		} else if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// WriteAlike writes alike.csv, with a line per passage.
func WriteAlike(out string, pairs []alike.Pair) error {
	lines := [][]string{{"a", "b", "% of a", "% of b", "tokens", "passage", "in a", "in b"}}
	for _, p := range pairs {
		for _, in := range p.Passages {
			lines = append(lines, []string{p.A, p.B, strconv.Itoa(p.OfA), strconv.Itoa(p.OfB), strconv.Itoa(p.Tokens),
				strconv.Itoa(in.Tokens), in.A, in.B})
		}
	}
	return writeTable(filepath.Join(out, "alike.csv"), lines)
}

// moodleColumns are headings of the offline grading worksheet. Moodle matches them in the importing user's language
// (mod/assign/feedback/offline/importgradeslib.php), and the number after the word in the first column.
var moodleColumns = []rubric.Text{
	{EN: "Identifier", ES: "Identificador"}, {EN: "Full name", ES: "Nombre completo"}, {EN: "Grade", ES: "Calificación"},
	{EN: "Last modified (grade)", ES: "Última modificación (calificación)"},
	{EN: "Feedback comments", ES: "Comentarios de retroalimentación"},
}

// moodle leaves the identifier empty where the folder's name had none: Moodle skips such a line. The time makes Moodle
// keep a grade that somebody has changed there since.
func moodle(c class.Class, lang string) [][]string {
	lines := [][]string{nil}
	for _, column := range moodleColumns {
		lines[0] = append(lines[0], column.In(lang))
	}
	for _, s := range c.Submissions {
		id := ""
		if s.Student.Platform == "moodle" {
			id = rubric.Text{EN: "Participant ", ES: "Participante "}.In(lang) + s.Student.ID
		}
		lines = append(lines, []string{id, fullName(s), grade(s, c.Rubric), c.Ended.UTC().Format("2006-01-02 15:04:05 UTC"),
			comment(s, c.Rubric, lang)})
	}
	return lines
}

// canvas returns the gradebook file: the columns that the importer requires, and one named after the assignment, which
// is created if missing (lib/gradebook_importer.rb). Canvas asks who a student without an ID is. An empty cell would
// delete a grade, so students without one are left out.
func canvas(c class.Class) [][]string {
	lines := [][]string{
		{"Student", "ID", "SIS User ID", "SIS Login ID", "Section", "daemonlab"},
		{"Points Possible", "", "", "", "", strconv.Itoa(rubric.Total)},
	}
	for _, s := range c.Submissions {
		id := ""
		if s.Student.Platform == "canvas" {
			id = s.Student.ID
		}
		if grade := grade(s, c.Rubric); grade != "" {
			lines = append(lines, []string{fullName(s), id, "", "", "", grade})
		}
	}
	return lines
}

func fullName(s class.Submission) string {
	if s.Student.Name != "" {
		return class.Name(s.Student.Name).String()
	}
	return s.Name.String()
}

// grade returns a grade out of 100, ignoring rows that could not be judged; empty if there is none yet.
func grade(s class.Submission, rows []rubric.Row) string {
	got, of, given := s.Points(rows)
	if !given || of == 0 || s.Undecided() {
		return ""
	}
	return strconv.FormatFloat(math.Round(float64(got)/float64(of)*rubric.Total*100)/100, 'f', -1, 64)
}

// comment returns HTML with a line for each failed row.
func comment(s class.Submission, rows []rubric.Row, lang string) string {
	asked, saw := rubric.Text{EN: "Asked:", ES: "Se pide:"}.In(lang), rubric.Text{EN: "Seen:", ES: "Se vio:"}.In(lang)
	var b strings.Builder
	if text := remarks(s, lang); text != "" {
		fmt.Fprintf(&b, "<pre>%s</pre>", html.EscapeString(text))
	}
	for _, row := range rows {
		found, judged := s.Row(row.ID)
		if !judged || found.Status == class.Passed {
			continue
		}
		seen := strings.Join(strings.Fields(found.Why.In(lang)), " ")
		if found.Finding != nil {
			seen = found.Finding.Line(lang, 200)
		}
		fmt.Fprintf(&b, "<p><b>%s</b> %s <i>%s</i>. %s <code>%s</code></p>", row.ID,
			asked, html.EscapeString(row.Title.In(lang)), saw, html.EscapeString(forStudent(seen)))
	}
	return formula.ReplaceAllStringFunc(b.String(), func(found string) string { // after &lt; too, where ' would show
		entities := found[:1]
		for _, sign := range found[1:] {
			entities += fmt.Sprintf("&#%d;", sign)
		}
		return entities
	})
}
