// Package parts lets a program, usually a test, play parts in other processes, for what one process cannot show.
package parts

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// variable tells a process which part to play.
const variable = "DAEMONLAB_PART"

var parts = map[string]func(args []string) error{}

// Add registers a part; call it in an init function. Its error, if any, goes to stderr and makes the exit status 1.
func Add(name string, play func(args []string) error) { parts[name] = play }

// Play plays the part this process was started for, and exits. In any other process it does nothing. Call it first in
// main or TestMain.
func Play() {
	part := os.Getenv(variable)
	if part == "" {
		return
	}
	if err := parts[part](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command returns the command for another process that plays a part. It avoids the race detector's one-second sleep at
// exit.
func Command(part string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...) // works even if the binary's directory is closed to this user
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", variable+"="+part)
	return cmd
}

// Run plays a part to its end and returns what it printed.
func Run(part string, args ...string) (string, error) {
	out, err := Command(part, args...).CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", part, err, said)
	}
	return said, err
}
