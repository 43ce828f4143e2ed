//lab:give

package daemon

import (
	"encoding/json"
	"fmt"
	"os"
)

// Options says how [Start] is to start the daemon.
type Options struct {
	// Config is handed to the daemon as JSON, see [Daemon.Config]. File names in it must be absolute: the daemon's
	// working directory is /.
	Config any
	// Unmake removes what the daemon told of with [Daemon.Made] when there is no daemon in the end: it was killed, or
	// had given up the privileges that removing takes. What is gone already, or somebody else's by now, it must leave
	// alone. It runs in the original process; nil does nothing.
	Unmake func(name string)
}

// Start is the part of the original process: it starts the daemon and returns when the daemon is ready (nil) or is
// gone (why). The caller then exits, which is step 8. The process is of no use for anything else afterwards: its
// descriptors are marked close-on-exec and its ignored signals are no longer ignored.
func Start(o Options) error {
	catchFileSizeLimit()
	config, err := json.Marshal(o.Config)
	if err != nil {
		return fmt.Errorf("encode the daemon's configuration: %w", err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := startMiddle(config, writer); err != nil {
		return err
	}
	result := readOutcome(reader)
	if result.err != nil && o.Unmake != nil {
		for _, name := range result.made {
			o.Unmake(name)
		}
	}
	return result.err
}

// startMiddle runs steps 1 to 5 in the original and waits for the middle process to exit (step 6).
func startMiddle(config []byte, pipe *os.File) error {
	defer pipe.Close()
	if err := closeDescriptors(); err != nil {
		return err
	}
	if err := resetDispositions(); err != nil {
		return err
	}
	pid, err := fork(config, pipe, cleanEnvironment(os.Environ()))
	if err != nil {
		return err
	}
	return wait(pid)
}
