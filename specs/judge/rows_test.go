package main

import (
	"slices"
	"testing"

	"github.com/onsi/ginkgo/v2/types"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// A row of which this machine cannot show a part has neither passed nor failed, unless another part has failed.
func TestARowThatCannotBeJudgedCountsNeitherWay(t *testing.T) {
	spec := func(state types.SpecState, message, entry string, value any) types.SpecReport {
		s := types.SpecReport{State: state, LeafNodeType: types.NodeTypeIt, LeafNodeText: "does it"}
		s.Failure.Message = message
		if entry != "" {
			// as the suite's process sends it
			sent, err := types.WrapEntryValue(value).MarshalJSON()
			must(t, err)
			var came types.ReportEntryValue
			must(t, came.UnmarshalJSON(sent))
			s.ReportEntries = types.ReportEntries{{Name: entry, Value: came}}
		}
		return s
	}
	passed := spec(types.SpecStatePassed, "", "", nil)
	slow := finding.Same("too slow")
	notJudged := spec(types.SpecStateSkipped, "too slow", finding.NotJudged, slow)
	failed := spec(types.SpecStateFailed, "looked", finding.Entry, finding.Finding{Did: finding.Same("looked")})
	for _, c := range []struct {
		specs  types.SpecReports
		status string
	}{
		{types.SpecReports{passed, spec(types.SpecStateSkipped, "only root can", "", nil)}, statusPassed},
		{types.SpecReports{passed, notJudged}, statusSkipped},
		{types.SpecReports{notJudged, failed}, statusFailed},
	} {
		r := result{Max: 3}
		r.conclude(c.specs)
		if r.Status != c.status || (r.Points == 3) != (c.status == statusPassed) {
			t.Errorf("%s with %d points, it should be %s: %s", r.Status, r.Points, c.status, r.Why)
		}
	}
}

func TestOneReasonForSeveralRowsIsSaidOnce(t *testing.T) {
	root, space := rubric.Text{EN: "only root"}, rubric.Text{EN: "no namespaces"}
	r := report{Specs: []result{{ID: "cwd", skipped: []rubric.Text{root}}, {ID: "ready", skipped: []rubric.Text{space, root}},
		{ID: "output", skipped: []rubric.Text{space, space}}}}
	reasons, in := r.skips()
	if !slices.Equal(reasons, []rubric.Text{root, space}) || !slices.Equal(in[root], []string{"cwd", "ready"}) ||
		!slices.Equal(in[space], []string{"ready", "output"}) {
		t.Error(reasons, in)
	}
}
