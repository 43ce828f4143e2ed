package mq_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"daemonlab/specs/inside"
)

// buildC builds testdata/glibc.c once.
var buildC = sync.OnceValues(func() (string, error) {
	program := filepath.Join(inside.Place(), "glibc")
	out, err := exec.Command("gcc", "-O1", "-Wall", "-pthread", "-o", program, "testdata/glibc.c", "-lrt").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("gcc: %w\n%s", err, out)
	}
	return program, err
})

// performC has the C program show one thing.
func performC(what string) {
	GinkgoHelper()
	if _, err := exec.LookPath("gcc"); err != nil {
		Skip("there is no gcc")
	}
	program := must(buildC())
	out, err := exec.Command(program, what, newName()).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s: %s", what, out)
}
