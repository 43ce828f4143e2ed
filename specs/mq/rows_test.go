package mq_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"
)

// lastRow is the last behaviour's number.
const lastRow = 149

// notVerifiable maps the rows that no spec can prove to the reason.
var notVerifiable = map[int]string{
	30: "needs CAP_SYS_RESOURCE in the initial user namespace, which even root lacks in many places",
}

// row labels a spec with the rows that it proves.
func row(numbers ...int) Labels {
	var labels Labels
	for _, n := range numbers {
		labels = append(labels, rowLabel(n))
	}
	return labels
}

// needLinux skips a spec whose sentence holds from this version on. Distributions backport behaviour, so nothing is
// claimed about older versions.
func needLinux(major, minor int) {
	GinkgoHelper()
	var name unix.Utsname
	Expect(unix.Uname(&name)).To(Succeed())
	var here [2]int
	must(fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &here[0], &here[1]))
	if slices.Compare(here[:], []int{major, minor}) < 0 {
		Skip(fmt.Sprintf("this is Linux %d.%d", here[0], here[1]))
	}
}

func rowLabel(n int) string { return fmt.Sprintf("row %d", n) }

// stateOf is the outcome of a row's specs, empty if none was selected.
func stateOf(specs []SpecReport) (state string) {
	for _, spec := range specs {
		switch {
		case spec.State.Is(types.SpecStateFailureStates):
			return "FAILED"
		case spec.State.Is(types.SpecStatePassed):
			state = "verified"
		case spec.Failure.Message != "": // the reason given to Skip; a spec that was not selected has none
			state = cmp.Or(state, "not verified here")
		}
	}
	return state
}

// textOf returns a row's first sentence, and why some of it was not verified here.
func textOf(specs []SpecReport) string {
	text := specs[0].LeafNodeText
	if len(specs) > 1 {
		text = fmt.Sprintf("%s (and %d more)", text, len(specs)-1)
	}
	for _, spec := range specs {
		reason := "; not here: " + spec.Failure.Message
		if spec.State.Is(types.SpecStateSkipped) && spec.Failure.Message != "" && !strings.Contains(text, reason) {
			text += reason
		}
	}
	return text
}

var _ = ReportAfterSuite("every row is verified, or the reason is known", func(report Report) {
	specs := map[string][]SpecReport{}
	for _, spec := range report.SpecReports.WithLeafNodeType(types.NodeTypeIt) {
		for _, label := range spec.LeafNodeLabels {
			specs[label] = append(specs[label], spec)
		}
	}
	var table strings.Builder
	var missing []int
	totals := map[string]int{}
	for n := 1; n <= lastRow; n++ {
		of := specs[rowLabel(n)]
		state, text := "not verifiable", notVerifiable[n]
		if text == "" && len(of) == 0 {
			missing = append(missing, n)
			continue
		}
		if text == "" {
			state, text = stateOf(of), textOf(of)
		}
		totals[cmp.Or(state, "not run")]++
		if state != "" {
			fmt.Fprintf(&table, "row %3d  %-17s  %v\n", n, state, text)
		}
	}
	fmt.Printf("\n%srows in all:", table.String())
	for _, state := range slices.Sorted(maps.Keys(totals)) {
		fmt.Printf(" %d %s", totals[state], state)
	}
	fmt.Println()
	Expect(missing).To(BeEmpty(), "rows that no spec carries and no reason excuses")
})
