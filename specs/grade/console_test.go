package main

import (
	"testing"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

func TestWhatHasNoGradeShowsNoPoints(t *testing.T) {
	s := class.Submission{Verdict: class.NoBuild, Why: "no file was handed in", Look: []class.Look{{}}}
	if got := outcome(s, rubric.Standard()); got != "needs a look: no file was handed in" {
		t.Error(got)
	}
	s.Adjust.As = "make"
	if got := outcome(s, rubric.Standard()); got != "0/100 no-build: no file was handed in" {
		t.Error(got)
	}
}
