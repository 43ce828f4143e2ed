package only64

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestOneLineSaysThat64BitsAreNeeded(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	for processor, refused := range map[string]bool{"386": true, "arm": true, "amd64": false, "arm64": false} {
		cmd := exec.Command("go", "build", ".")
		cmd.Env = append(os.Environ(), "GOARCH="+processor, "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		says := strings.Contains(string(out), "daemonlab_needs_a_64_bit_system")
		const lines = 2 // the package's name, and what is wrong there
		if refused != (err != nil) || refused != says || strings.Count(string(out), "\n") > lines {
			t.Errorf("GOARCH=%s go build: %v\n%s", processor, err, out)
		}
	}
}
