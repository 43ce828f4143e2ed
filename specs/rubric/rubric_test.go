package rubric_test

import (
	"strings"
	"testing"

	"daemonlab/specs/rubric"
)

func TestTheStandardRubricHasARowForEveryIDOfTheContract(t *testing.T) {
	ids := strings.Fields(`fds signals sigmask env session orphan stdio umask cwd pidfile instance privileges ready failure
		notify rearm backlog threads concurrent
		transfer protocol errors confine malformed stuck sighup sigterm leaks
		output exit cleanup`)
	rows := rubric.Standard()
	if len(rows) != len(ids) {
		t.Errorf("%d rows, %d ids", len(rows), len(ids))
	}
	for _, id := range ids {
		if _, ok := rubric.Find(rows, id); !ok {
			t.Errorf("no row %s", id)
		}
	}
}

func TestParseRefusesARubricThatDoesNotAddUp(t *testing.T) {
	row := `{"id": "ID", "step": 1, "points": 50, "title": {"en": "t", "es": "t"}, "hint": {"en": "h", "es": "h"}}`
	one, two := strings.Replace(row, "ID", "a", 1), strings.Replace(row, "ID", "b", 1)
	for name, text := range map[string]string{
		"too few points":  "[" + one + "]",
		"an id twice":     "[" + one + "," + one + "]",
		"no such step":    "[" + one + "," + strings.Replace(two, `"step": 1`, `"step": 12`, 1) + "]",
		"no Spanish":      "[" + one + "," + strings.Replace(two, `"es": "t"`, `"es": ""`, 1) + "]",
		"negative points": "[" + one + "," + strings.Replace(two, "50", "-50", 1) + "]",
		"no JSON":         "[",
	} {
		if _, err := rubric.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := rubric.Parse([]byte("[" + one + "," + two + "]")); err != nil {
		t.Error(err)
	}
}
