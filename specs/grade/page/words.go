package page

import (
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

var verdictOrder = []class.Verdict{class.Graded, class.NoBuild, class.Timeout, class.GraderFailed, class.NotOne}

var verdictNames = map[class.Verdict]rubric.Text{
	class.Graded:       {EN: "graded", ES: "evaluada"},
	class.NoBuild:      {EN: "does not build", ES: "no compila"},
	class.Timeout:      {EN: "time-out", ES: "tiempo agotado"},
	class.GraderFailed: {EN: "grader failed", ES: "falló el evaluador"},
	class.NotOne:       {EN: "not a submission", ES: "no es una entrega"},
}

var verdictNamesOfMany = map[class.Verdict]rubric.Text{
	class.Graded:       {EN: "graded", ES: "evaluadas"},
	class.NoBuild:      {EN: "do not build", ES: "no compilan"},
	class.Timeout:      {EN: "timed out", ES: "con el tiempo agotado"},
	class.GraderFailed: {EN: "not judged: the grader failed", ES: "sin evaluar: falló el evaluador"},
	class.NotOne:       {EN: "not submissions", ES: "no son entregas"},
}

// status is how a row is shown: by a class of the style sheet, a sign that needs no colour, and a word.
type status struct {
	Class, Glyph string
	Name         rubric.Text
}

var (
	passed   = status{"p", "✓", rubric.Text{EN: "passed", ES: "superada"}}
	failed   = status{"f", "✗", rubric.Text{EN: "failed", ES: "fallida"}}
	unsteady = status{"u", "◐", rubric.Text{EN: "passed in some runs only", ES: "superada solo en algunas ejecuciones"}}
	skipped  = status{"s", "–", rubric.Text{EN: "skipped: counts neither way", ES: "omitida: no cuenta"}}
	suite    = status{"e", "!", rubric.Text{EN: "not judgeable: counts neither way", ES: "no evaluable: no cuenta"}}
	nothing  = status{"n", "\u00a0", rubric.Text{EN: "not reached", ES: "no se llegó a ella"}}
)

// Legend is in the order in which the script sorts.
func (view) Legend() []status {
	return []status{failed, unsteady, nothing, suite, skipped, passed}
}

func statusOf(s class.Submission, found class.Row, judged bool) status {
	switch {
	case !judged:
		return nothing
	case s.Unsteady(found):
		return unsteady
	}
	switch found.Status {
	case class.Passed:
		return passed
	case class.Skipped:
		return skipped
	case class.Error:
		return suite
	}
	return failed
}
