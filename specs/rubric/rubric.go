// Package rubric is the list of what is judged: for every row of the contract its id, the step of the lab it belongs
// to, its points, and its title and hint in English and Spanish. It is data, rubric.json, for an instructor
// to change; specs, grades and guide read it here.
package rubric

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// Row is one thing that is judged.
type Row struct {
	ID     string `json:"id"`
	Step   int    `json:"step"` // 1 to 8 as the lab counts; 9 queues and notification, 10 messages, 11 client
	Points int    `json:"points"`
	Title  Text   `json:"title"`
	Hint   Text   `json:"hint"`
}

// Text is the same in both languages of the lab.
type Text struct {
	EN string `json:"en"`
	ES string `json:"es"`
}

// In is the text in a language, "en" or "es".
func (t Text) In(lang string) string {
	if lang == "es" {
		return t.ES
	}
	return t.EN
}

// ClientStep is the step whose rows judge the client; the others judge the server.
const ClientStep = 11

// Total is what the points of a rubric add up to.
const Total = 100

//go:embed rubric.json
var standard []byte

// Standard returns the rubric of the lab.
func Standard() []Row {
	rows, err := Parse(standard)
	if err != nil {
		panic(err) // the file is part of the program, and its test reads it
	}
	return rows
}

// Parse reads a rubric and refuses one whose ids are not unique or whose points do not add up to [Total].
func Parse(data []byte) ([]Row, error) {
	var rows []Row
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, fmt.Errorf("rubric: %w", err)
	}
	seen := map[string]bool{}
	sum := 0
	for _, r := range rows {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("rubric: row %q: %w", r.ID, err)
		}
		if seen[r.ID] {
			return nil, fmt.Errorf("rubric: two rows %q", r.ID)
		}
		seen[r.ID] = true
		sum += r.Points
	}
	if sum != Total {
		return nil, fmt.Errorf("rubric: the points add up to %d, not %d", sum, Total)
	}
	return rows, nil
}

func (r Row) check() error {
	switch {
	case r.ID == "":
		return fmt.Errorf("no id")
	case r.Step < 1 || r.Step > 11:
		return fmt.Errorf("step %d is not from 1 to 11", r.Step)
	case r.Points < 0:
		return fmt.Errorf("negative points")
	case r.Title.EN == "" || r.Title.ES == "" || r.Hint.EN == "" || r.Hint.ES == "":
		return fmt.Errorf("title or hint is missing in a language")
	}
	return nil
}

// Find returns the row of an id.
func Find(rows []Row, id string) (Row, bool) {
	for _, r := range rows {
		if r.ID == id {
			return r, true
		}
	}
	return Row{}, false
}
