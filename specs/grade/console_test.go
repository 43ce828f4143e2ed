package main

import (
	"testing"

	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

func TestWhatHasNoGradeShowsNoPoints(t *testing.T) {
	s := class.Submission{Verdict: class.NoBuild, Why: "there is no file in it", Look: []class.Look{{}}}
	if got := outcome(s, rubric.Standard()); got != "needs a look: there is no file in it" {
		t.Error(got)
	}
	s.Adjust.As = "make"
	if got := outcome(s, rubric.Standard()); got != "0/100 no-build: there is no file in it" {
		t.Error(got)
	}
}
