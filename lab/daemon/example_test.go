package daemon_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"daemonlab/lab/daemon"
)

// A program's main begins with daemon.Continue(serve), where serve does what the daemon is for and calls Ready, as
// obey does for this test program. Then the original process starts it.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	pidFile := filepath.Join(dir, "example.pid")

	if err := daemon.Start(daemon.Options{Config: order{PIDFile: pidFile}}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ready")

	pid, err := daemon.Running(pidFile)
	fmt.Println("running:", pid != 0, err)
	_, err = daemon.Stop(context.Background(), pidFile)
	fmt.Println("stopped:", err)
	// Output:
	// ready
	// running: true <nil>
	// stopped: <nil>
}
