// Package parts has a program, most often of tests, play parts in other processes, for what one process cannot show.
package parts

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// variable tells a process which part it plays.
const variable = "DAEMONLAB_PART"

var parts = map[string]func(args []string) error{}

// Add makes a part known, in an init function. Its error, if any, goes to stderr, and makes the exit status 1.
func Add(name string, play func(args []string) error) { parts[name] = play }

// Play plays the part that this process was started for, and exits. In any other process it does nothing. It is called
// first in main or TestMain.
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

// Command prepares another process for a part. Under the race detector it does not sleep for a second at its exit.
func Command(part string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...) // a path that is good also where the binary's directory is closed
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", variable+"="+part)
	return cmd
}

// Run plays a part to its end, and gives what it has printed.
func Run(part string, args ...string) (string, error) {
	out, err := Command(part, args...).CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", part, err, said)
	}
	return said, err
}
