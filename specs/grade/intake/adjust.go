package intake

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// Adjustments reads the instructor's table, which is beside the class and has its name with .csv. Without one nothing is
// adjusted. A line that fits no item is an error: it would be lost without a word.
func Adjustments(path string, items []Item) (map[class.Name]class.Adjustment, error) {
	file := isArchive.ReplaceAllString(path, "") + ".csv"
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(content) {
		return nil, fmt.Errorf("%s: not UTF-8: save it as CSV UTF-8", file)
	}
	content = bytes.TrimPrefix(content, []byte(byteOrderMark))
	r := csv.NewReader(bytes.NewReader(content))
	if first, _, _ := bytes.Cut(content, []byte("\n")); bytes.ContainsRune(first, ';') { // where a comma is in numbers
		r.Comma = ';'
	}
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("%s: no table", file)
	}
	adjust := map[class.Name]class.Adjustment{}
	for err == nil {
		var line []string
		if line, err = r.Read(); err != nil || strings.TrimSpace(strings.Join(line, "")) == "" {
			continue
		}
		name, a, lineErr := adjustment(head, line, items)
		if _, twice := adjust[name]; twice {
			lineErr = fmt.Errorf("%v appears twice", name)
		}
		if lineErr != nil {
			at, _ := r.FieldPos(0)
			return nil, fmt.Errorf("%s: line %d: %w", file, at, lineErr)
		}
		adjust[name] = a
	}
	if err != io.EOF {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return adjust, nil
}

func adjustment(head, line []string, items []Item) (name class.Name, a class.Adjustment, err error) {
	for i, column := range head {
		var columnErr error
		switch value := strings.TrimSpace(line[i]); strings.ToLower(strings.TrimSpace(column)) {
		case "name":
			var item Item
			item, columnErr = Find(items, line[i])
			name = item.Name
		case "late":
			a.Late, columnErr = late(value)
		case "points":
			if value != "" {
				points, atoiErr := strconv.Atoi(value)
				if a.Points = &points; atoiErr != nil || points < 0 || points > rubric.Total {
					columnErr = fmt.Errorf("points %q: must be a whole number from 0 to %d", value, rubric.Total)
				}
			}
		case "as":
			a.As = value
		case "reason":
			a.Reason = value
		default:
			columnErr = fmt.Errorf("unknown column %q", column)
		}
		err = errors.Join(err, columnErr)
	}
	if err == nil && a.Reason == "" {
		err = errors.New("no reason given")
	}
	return name, a, err
}

// Find returns the item of a name, as it is or as it is shown, or of a student's number, or of a student's own name that
// no other has. Moodle's folders are also found without the mark that ends their names. Accents may be composed or, as
// in names from a Mac, apart; spaces around a name may be missing.
func Find(items []Item, name string) (Item, error) {
	if i := slices.IndexFunc(items, func(i Item) bool { return string(i.Name) == name }); i >= 0 {
		return items[i], nil
	}
	plain := func(text string) string { return norm.NFC.String(strings.TrimSpace(text)) }
	wanted := plain(name)
	is := func(text string) bool { return plain(text) == wanted }
	var own []Item
	for _, i := range items {
		switch shown := i.Name.String(); {
		case wanted == "":
		case is(shown), is(strings.TrimSuffix(shown, "_")), i.Student.ID == wanted:
			return i, nil
		case is(i.Student.Name):
			own = append(own, i)
		}
	}
	if len(own) == 1 {
		return own[0], nil
	}
	return Item{}, fmt.Errorf("no submission is called %q: use its name in grades.csv, or the number on the platform", name)
}

// late reads percent, or days and the percent of each.
func late(text string) (percent int, err error) {
	if text == "" {
		return 0, nil
	}
	days, each, many := strings.Cut(strings.TrimSuffix(text, "%"), "x")
	percent, err = strconv.Atoi(days)
	if many && err == nil {
		var of int
		of, err = strconv.Atoi(each)
		percent *= of
	}
	if err != nil || percent < 0 {
		return 0, fmt.Errorf("late %q: must be a percentage, such as 20, or days and percent per day, such as 2x10", text)
	}
	return min(percent, 100), nil
}
