package sysv_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"

	"daemonlab/specs/inside"
	"daemonlab/specs/rubric"
)

// TestGuide proves that each line of the guide's table names specs that there are, and the same in both languages, and
// that every spec that compares has a line.
func TestGuide(t *testing.T) {
	if inside.Place() != "" {
		t.Skip("the suite's process previews no specs")
	}
	specs := map[string]bool{} // whether it compares
	for _, spec := range PreviewSpecs(title).SpecReports {
		if containers := spec.ContainerHierarchyTexts; len(containers) > 0 {
			specs[spec.LeafNodeText] = strings.HasPrefix(containers[0], compares)
		}
	}
	proofs := [][]string{named(t, "en"), named(t, "es")}
	if !slices.Equal(proofs[0], proofs[1]) {
		t.Errorf("the proofs are\n%q\nin English and in Spanish\n%q", proofs[0], proofs[1])
	}
	for _, title := range proofs[0] {
		_, isSpec := specs[title]
		if _, isRow := rubric.Find(rubric.Standard(), title); !isRow && !isSpec {
			t.Errorf("there is no spec %q", title)
		}
	}
	for title, compares := range specs {
		if compares && !slices.Contains(proofs[0], title) {
			t.Errorf("no line for the spec %q", title)
		}
	}
}

// compares begins the names of the containers whose specs set the two kinds of queue side by side.
const compares = "queues: "

var quoted = regexp.MustCompile("`([^`]+)`")

// named lists the proofs of all lines of a table, which its last column names.
func named(t *testing.T, language string) (proofs []string) {
	text, err := os.ReadFile("../../lab/guide/" + language + "/sysv-posix.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile(`(?m)^\| [^|].*`).FindAllString(string(text), -1) { // not a table's head
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		matches := quoted.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 4 || len(matches) == 0 {
			t.Errorf("%s: what proves %q?", language, row)
		}
		for _, match := range matches {
			proofs = append(proofs, match[1])
		}
	}
	return proofs
}
