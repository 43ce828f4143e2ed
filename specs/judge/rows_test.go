package main

import (
	"testing"

	"github.com/onsi/ginkgo/v2/types"

	"daemonlab/specs/harness"
)

// A row of which this machine cannot show a part has neither passed nor failed, unless another part has failed.
func TestARowThatCannotBeJudgedCountsNeitherWay(t *testing.T) {
	spec := func(state types.SpecState, message, entry string) types.SpecReport {
		s := types.SpecReport{State: state, LeafNodeType: types.NodeTypeIt, LeafNodeText: "does it"}
		s.Failure.Message = message
		if entry != "" {
			s.ReportEntries = types.ReportEntries{{Name: entry, Value: types.WrapEntryValue(message)}}
		}
		return s
	}
	passed := spec(types.SpecStatePassed, "", "")
	notJudged := spec(types.SpecStateSkipped, "not judged: too slow", harness.NotJudged)
	failed := spec(types.SpecStateFailed, harness.Finding{Did: "looked"}.Format("fds", 1, "title", "hint"), "")
	for _, c := range []struct {
		specs  types.SpecReports
		status string
	}{
		{types.SpecReports{passed, spec(types.SpecStateSkipped, "only root can", "")}, statusPassed},
		{types.SpecReports{passed, notJudged}, statusSkipped},
		{types.SpecReports{notJudged, failed}, statusFailed},
	} {
		r := result{Max: 3}
		r.conclude(c.specs)
		if r.Status != c.status || (r.Points == 3) != (c.status == statusPassed) {
			t.Errorf("%s with %d points, it should be %s: %s", r.Status, r.Points, c.status, r.Evidence)
		}
	}
}
