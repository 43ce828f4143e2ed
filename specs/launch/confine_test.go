package main_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConfine(t *testing.T) {
	p := start(t, nil, "--confine", "--rlimit", "data=1073741824:1073741824")
	status, err := p.Status()
	must(t, err)
	equal(t, "CapAmb", status.CapAmb, 0)
	for _, c := range []int{unix.CAP_SYS_PTRACE, unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE, unix.CAP_DAC_READ_SEARCH} {
		equal(t, "has capability", status.CapPrm.Has(c), false)
		if os.Geteuid() == 0 { // nobody else gets it by executing a program
			equal(t, "could have it", status.CapBnd.Has(c), false)
		}
	}
	equal(t, "can change its user", status.CapEff.Has(unix.CAP_SETUID), os.Geteuid() == 0)
	first, err := os.ReadFile(p.Path("oom_score_adj"))
	must(t, err)
	equal(t, "oom_score_adj", string(first), "1000\n")
	limits, err := os.ReadFile(p.Path("limits"))
	must(t, err)
	if !strings.Contains(string(limits), "Max data size             1073741824           1073741824") {
		t.Errorf("no limit of data:\n%s", limits)
	}
}
