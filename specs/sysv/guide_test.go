package sysv_test

import (
	"os"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"daemonlab/specs/rubric"
)

// guides are the guide's table in its languages.
var guides = []string{"../../lab/guide/en/sysv-posix.md", "../../lab/guide/es/sysv-posix.md"}

// besidePOSIX are the containers whose specs compare the two kinds of queue: the guide has a line for each.
var besidePOSIX = []string{
	"types and priorities", "the end of a file", "waiting", "lengths and limits", "names and permissions",
	"life and end of a queue",
}

// allSpecs is a preview of the suite, since a spec cannot see the others.
var allSpecs Report

var _ = Describe("the guide's table", func() {
	It("names specs that there are, for each of its lines, and every spec that compares", func() {
		specs, compare := titles()
		for _, file := range guides {
			var named []string
			for _, line := range lines(file) {
				Expect(line.proof).NotTo(BeEmpty(), "%s: what proves %q?", file, line.subject)
				named = append(named, line.proof...)
			}
			for _, title := range named {
				_, isRow := rubric.Find(rubric.Standard(), title)
				Expect(isRow || slices.Contains(specs, title)).To(BeTrue(), "%s: there is no spec %q", file, title)
			}
			for _, title := range compare {
				Expect(named).To(ContainElement(title), "%s: no line for the spec", file)
			}
		}
	})

	It("has the same lines in English and in Spanish", func() {
		english, spanish := lines(guides[0]), lines(guides[1])
		Expect(spanish).To(HaveLen(len(english)))
		for i, line := range english {
			Expect(spanish[i].proof).To(Equal(line.proof), "%q is beside %q", line.subject, spanish[i].subject)
			Expect(spanish[i].cells).To(Equal(line.cells))
		}
	})
})

// titles lists all specs of the suite, and those that compare.
func titles() (all, compare []string) {
	for _, spec := range allSpecs.SpecReports {
		if len(spec.ContainerHierarchyTexts) == 0 {
			continue
		}
		all = append(all, spec.LeafNodeText)
		if slices.Contains(besidePOSIX, spec.ContainerHierarchyTexts[0]) {
			compare = append(compare, spec.LeafNodeText)
		}
	}
	return all, compare
}

// line is one of a table.
type line struct {
	subject string
	cells   int
	proof   []string
}

var quoted = regexp.MustCompile("`([^`]+)`")

func lines(file string) (all []line) {
	GinkgoHelper()
	text, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	for row := range strings.Lines(string(text)) {
		row = strings.TrimSpace(row)
		if !strings.HasPrefix(row, "| ") || strings.HasPrefix(row, "| |") { // no table, or its head
			continue
		}
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		l := line{subject: cells[0], cells: len(cells)}
		for _, match := range quoted.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			l.proof = append(l.proof, match[1])
		}
		all = append(all, l)
	}
	return all
}
