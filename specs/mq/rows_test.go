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

// lastRow is the number of behaviours that the suite accounts for.
const lastRow = 149

// notVerifiable are the rows that no spec can prove, and why.
var notVerifiable = map[int]string{
	30: "needs CAP_SYS_RESOURCE in the initial user namespace, which even root lacks in many places",
}

// row labels a spec with the numbers of the rows that it proves.
func row(numbers ...int) Labels {
	var labels Labels
	for _, n := range numbers {
		labels = append(labels, rowLabel(n))
	}
	return labels
}

// since labels a spec whose sentence holds from this version of Linux on. Distributions bring newer behaviour to older
// versions, so that nothing is said of what an older one does.
func since(major, minor int) Labels { return Labels{fmt.Sprintf("%s%d.%d", sinceLinux, major, minor)} }

const sinceLinux = "since Linux "

var _ = BeforeEach(func() {
	version := sinceOf(CurrentSpecReport())
	if version == "" {
		return
	}
	var name unix.Utsname
	Expect(unix.Uname(&name)).To(Succeed())
	var here, wanted [2]int
	fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &here[0], &here[1])
	fmt.Sscanf(version, sinceLinux+"%d.%d", &wanted[0], &wanted[1])
	if slices.Compare(here[:], wanted[:]) < 0 {
		Skip(fmt.Sprintf("this is %d.%d", here[0], here[1]))
	}
})

// sinceOf is the label of since, if the spec has one.
func sinceOf(spec SpecReport) string {
	for _, label := range spec.LeafNodeLabels {
		if strings.HasPrefix(label, sinceLinux) {
			return label
		}
	}
	return ""
}

func rowLabel(n int) string { return fmt.Sprintf("row %d", n) }

// account is what became of one row.
type account struct {
	title   string
	since   []string // sentences of the row that do not hold on every kernel, and from which on they do
	specs   int
	passed  int
	failed  int
	skipped []string // reasons
}

// state is empty for a row whose specs were not chosen to run.
func (a account) state() string {
	switch {
	case a.failed > 0:
		return "FAILED"
	case a.passed > 0:
		return "verified"
	case len(a.skipped) > 0:
		return "not verified here"
	}
	return ""
}

func (a account) String() string {
	text := a.title
	if a.specs > 1 {
		text = fmt.Sprintf("%s (and %d more)", text, a.specs-1)
	}
	for _, sentence := range a.since {
		text += "; " + sentence
	}
	slices.Sort(a.skipped)
	for _, reason := range slices.Compact(a.skipped) {
		text += "; not here: " + reason
	}
	return text
}

func accounts(report Report) map[string]*account {
	byLabel := map[string]*account{}
	for _, spec := range report.SpecReports.WithLeafNodeType(types.NodeTypeIt) {
		for _, label := range spec.LeafNodeLabels {
			a, ok := byLabel[label]
			if !ok {
				a = &account{title: spec.LeafNodeText}
				byLabel[label] = a
			}
			a.add(spec)
		}
	}
	return byLabel
}

func (a *account) add(spec SpecReport) {
	a.specs++
	if version := sinceOf(spec); version != "" {
		a.since = append(a.since, version+": "+spec.LeafNodeText)
	}
	switch {
	case spec.State.Is(types.SpecStateFailureStates):
		a.failed++
	case spec.State.Is(types.SpecStatePassed):
		a.passed++
	case spec.Failure.Message != "": // given to Skip; a spec that was not chosen has none
		a.skipped = append(a.skipped, spec.Failure.Message)
	}
}

var _ = ReportAfterSuite("every row is verified, or the reason is known", func(report Report) {
	byLabel := accounts(report)
	var table strings.Builder
	var missing []int
	totals := map[string]int{}
	for n := 1; n <= lastRow; n++ {
		a, ok := byLabel[rowLabel(n)]
		reason, listed := notVerifiable[n]
		switch {
		case listed:
			a = &account{title: reason}
		case !ok:
			missing = append(missing, n)
			continue
		}
		state := a.state()
		if listed {
			state = "not verifiable"
		}
		totals[state]++
		if state != "" {
			fmt.Fprintf(&table, "row %3d  %-17s  %v\n", n, state, a)
		}
	}
	fmt.Printf("\n%srows in all:", table.String())
	for _, state := range slices.Sorted(maps.Keys(totals)) {
		fmt.Printf(" %d %s", totals[state], cmp.Or(state, "not run"))
	}
	fmt.Println()
	Expect(missing).To(BeEmpty(), "rows that no spec carries and no reason excuses")
})
