package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/onsi/ginkgo/v2/types"
	"golang.org/x/sys/unix"
)

// reportFile is where the suite's process of a row writes what it found. It has no name: the program under test cannot
// open it, as long as it can trace neither that process nor this one (proc(5), /proc/pid/fd).
type reportFile struct{ *os.File }

func newReportFile() (reportFile, error) {
	fd, err := unix.MemfdCreate("report", unix.MFD_CLOEXEC)
	if err != nil {
		return reportFile{}, os.NewSyscallError("memfd_create", err)
	}
	return reportFile{os.NewFile(uintptr(fd), "report")}, nil
}

func (f reportFile) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
}

func (f reportFile) read() (specs types.SpecReports, err error) {
	content, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<62))
	if err != nil {
		return nil, err
	}
	var reports []types.Report
	if err := json.Unmarshal(content, &reports); err != nil {
		return nil, fmt.Errorf("the suite's report: %w", err)
	}
	for _, report := range reports {
		specs = append(specs, report.SpecReports...)
	}
	return specs, nil
}
