package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const installed = "/usr/local/bin/mqfiled" // as in the units

// unit returns the content of a unit of scripts/systemd, with the server under test in place of the installed one.
func unit(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "scripts", "systemd", name))
	must(t, err)
	if !strings.Contains(string(content), "ExecStart="+installed+" ") {
		t.Fatalf("%s does not start %s", name, installed)
	}
	return strings.ReplaceAll(string(content), installed, programs.Server)
}

var units = []string{"mqfiled.service", "mqfiled-sysv.service"}

func TestSystemdAcceptsTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze: apt install systemd")
	}
	for _, name := range units {
		file := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(file, []byte(unit(t, name)), 0o644))
		// verify also reports other units of the machine, which are not ours.
		if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil ||
			strings.Contains(string(out), name) {
			t.Errorf("verify %s: %v\n%s", name, err, out)
		}
		// Exposure is 0 to 10; the threshold is ten times that.
		if out, err := exec.Command(analyze, "security", "--offline=yes", "--threshold=20", file).CombinedOutput(); err != nil {
			t.Errorf("security %s: %v\n%s", name, err, out)
		}
	}
}

func TestTheUnitsCommandsAreGood(t *testing.T) {
	for _, name := range units {
		for line := range strings.Lines(unit(t, name)) {
			command, isCommand := strings.CutPrefix(line, "ExecStart=")
			if !isCommand {
				continue
			}
			if out, status := run(append(strings.Fields(command)[1:], "--status")...); status != 3 {
				t.Errorf("%s: %s: exit status %d: %s", name, command, status, out)
			}
		}
	}
}
