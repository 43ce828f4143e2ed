package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// mqfile is the program under test, built once.
var mqfile string

// raced reports whether these tests, and so mqfile, are built with the race detector.
var raced bool

// binaryEnv tells the tests that they run in namespaces, see inNamespaces; its value is mqfile's path.
const binaryEnv = "MQFILE_TEST_BINARY"

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if signal.Ignored(unix.SIGHUP) { // by nohup(1), hence in the programs too: execve(2) resets only caught signals
		signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		raced = slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
	}
	if mqfile = os.Getenv(binaryEnv); mqfile != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "mqfile-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)                     // other accounts run the program too
	os.Setenv("GORACE", "atexit_sleep_ms=0") // without it each program lingers for a second at its end
	mqfile = filepath.Join(dir, "mqfile")
	build := exec.Command("go", "build", "-buildvcs=false", fmt.Sprintf("-race=%t", raced), "-o", mqfile)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	return m.Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
