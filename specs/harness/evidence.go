package harness

import (
	"io"
	"os"
	"strings"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// maxEvidence limits each part of a report, in bytes: a program may write an endless log.
const maxEvidence = 4000

// Evidence returns a daemon's state for a report: log, status and descriptors, as far as readable.
func (s *Server) Evidence() (facts []finding.Fact) {
	add := func(of rubric.Text, text string) {
		if text != "" {
			facts = append(facts, finding.Fact{Of: of, Text: text})
		}
	}
	add(finding.Say("started"), "mqfiled "+finding.Args(s.Start.Args))
	add(finding.Say("stderr of the start"), clip(s.Start.Stderr))
	add(finding.Same("%s", s.Log), readTail(s.Log))
	add(finding.Same("%s", s.Process.Path("status")), interesting(readTail(s.Process.Path("status"))))
	fds, err := s.Process.Descriptors()
	lines := ""
	for _, fd := range fds {
		lines += fd.String() + "\n"
	}
	if err != nil {
		lines += err.Error() + "\n"
	}
	add(finding.Same("%s", s.Process.Path("fd")), clip(lines))
	return facts
}

// clip truncates text to what a report shows.
func clip(text string) string {
	if len(text) <= maxEvidence {
		return text
	}
	return strings.ToValidUTF8(text[:maxEvidence], "") + "\n..."
}

func readTail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	skipped, err := file.Seek(-maxEvidence, io.SeekEnd)
	if err != nil {
		skipped, _ = file.Seek(0, io.SeekStart) // it is shorter, or in /proc
	}
	text, err := io.ReadAll(io.LimitReader(file, maxEvidence))
	if err != nil {
		return err.Error()
	}
	if skipped > 0 {
		return "...\n" + string(text)
	}
	return string(text)
}

// interesting keeps the lines of a status file that matter to the contract.
func interesting(status string) string {
	var kept []string
	for line := range strings.Lines(status) {
		key, _, _ := strings.Cut(line, ":")
		switch key {
		case "Name", "Umask", "State", "Pid", "PPid", "Uid", "Gid", "Groups", "Threads", "VmRSS",
			"SigBlk", "SigIgn", "SigCgt", "CapPrm", "CapEff", "NoNewPrivs":
			kept = append(kept, line)
		}
	}
	if kept == nil {
		return status
	}
	return strings.Join(kept, "")
}
