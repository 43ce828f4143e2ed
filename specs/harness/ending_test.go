package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Of a program that ends by a fault the line is named, where the kernel's log may be read.
func TestALineIsNamedInWhichAProgramEnded(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program+".c", []byte("int at(int *p)\n{\n\treturn *p;\n}\nint main(void)\n{\n\treturn at(0);\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-g", "-O0", "-o", program, program+".c").CombinedOutput(); err != nil {
		t.Skipf("gcc makes no program here: %v %s", err, out)
	}
	if _, err := unix.Klogctl(3, make([]byte, 1)); err != nil {
		t.Skipf("the kernel's log: %v", err)
	}
	if _, err := exec.LookPath("addr2line"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(program)
	cmd.Run()
	line := ""
	for deadline := time.Now().Add(5 * time.Second); line == "" && time.Now().Before(deadline); { // the log lags a little behind
		line = crashLine(cmd.Process.Pid, program)
	}
	if !regexp.MustCompile(`^at\(\) \(program\.c:3\)$`).MatchString(line) {
		t.Errorf("%q", line)
	}
}
