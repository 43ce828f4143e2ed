package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mqfile is the program under test, built once.
var mqfile string

// Children of this test are this same program again, told by these what to be.
const (
	launchEnv = "MQFILE_TEST_LAUNCH" // a launcher, see launch
	binaryEnv = "MQFILE_TEST_BINARY" // the tests in a namespace; its value is mqfile
)

func TestMain(m *testing.M) {
	if order := os.Getenv(launchEnv); order != "" {
		launch(order)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if signal.Ignored(unix.SIGHUP) { // by nohup(1), and then by the programs, too; execve(2) resets what is caught
		signal.Notify(make(chan os.Signal, 1), unix.SIGHUP)
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
	os.Chmod(dir, 0o755) // other accounts run the program too
	mqfile = filepath.Join(dir, "mqfile")
	build := exec.Command("go", append([]string{"build", "-buildvcs=false", "-o", mqfile}, buildFlags...)...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	return m.Run()
}
