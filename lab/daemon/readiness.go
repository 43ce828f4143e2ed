package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

//lab:begin

// The readiness pipe carries lines from the daemon to the original: what the daemon made, and last that it is ready or
// why not. Text that begins otherwise is the runtime's, of a daemon that crashed.
const (
	lineMade  = "made "
	lineReady = "ready"
	lineError = "error "
)

//lab:end

// lineFailed is what the children of step 5 write, who can put nothing but digits into it.
const (
	lineFailed  = "failed step 0 errno 000\n"
	failedStep  = len("failed step ")
	failedErrno = len(lineFailed) - len("0\n") // its last digit
)

//lab:begin

// Steps that fail between fork and exec.
const (
	stepSetsid = iota
	stepFork
	stepExec
)

var stepNames = []string{"setsid", "fork", "execute /proc/self/exe"}

// failedBeforeExec reads lineFailed.
func failedBeforeExec(line string) (err error, ok bool) {
	var step int
	var errno unix.Errno
	n, _ := fmt.Sscanf(line, "failed step %d errno %d", &step, &errno)
	if n != 2 || step >= len(stepNames) {
		return nil, false
	}
	return fmt.Errorf("%s: %w", stepNames[step], errno), true
}

//lab:end

// Daemon is what body has of the process that it runs in.
type Daemon struct {
	config []byte
	pipe   *os.File // nil once the original has been told
}

// Config decodes the configuration that the original gave to [Start] into v, a pointer.
func (d *Daemon) Config(v any) error {
	return json.Unmarshal(d.config, v)
}

// Made tells the original that the daemon has just made something that outlives it, a file or a queue. Should the
// start fail, the original hands the name to [Options.Unmake].
func (d *Daemon) Made(name string) error {
	//lab:begin failure
	//lab:instead return nil
	return d.say(lineMade + name)
	//lab:end
}

// Ready tells the original that the daemon can serve (step 7), so that it exits with success (step 8). An error means
// that the original is gone and nobody learnt of it: the start has failed.
func (d *Daemon) Ready() error {
	//lab:begin ready
	//lab:instead return nil
	if err := d.say(lineReady); err != nil {
		return err
	}
	debug.SetCrashOutput(nil, debug.CrashOptions{})
	d.pipe.Close()
	d.pipe = nil
	return nil
	//lab:end
}

//lab:begin

func (d *Daemon) say(line string) error {
	if _, err := io.WriteString(d.pipe, line+"\n"); err != nil {
		return fmt.Errorf("tell the starting process: %w", err)
	}
	return nil
}

//lab:end

// reportCrashes sends the text of a panic down the pipe, since stderr is /dev/null.
func (d *Daemon) reportCrashes() {
	//lab:begin failure
	debug.SetCrashOutput(d.pipe, debug.CrashOptions{})
	//lab:end
}

// report tells the original why there will be no daemon. A nil pipe means that it was told before.
func report(pipe *os.File, err error) {
	//lab:begin failure
	if pipe != nil {
		io.WriteString(pipe, lineError+oneLine(err.Error())+"\n")
	}
	//lab:end
}

//lab:begin

func oneLine(s string) string {
	return strings.ReplaceAll(s, "\n", "; ")
}

//lab:end

// inheritedPipe takes over the readiness pipe at its place.
func inheritedPipe() *os.File {
	unix.CloseOnExec(pipeFD)
	return os.NewFile(pipeFD, "readiness pipe")
}

// outcome is what the original has read from the pipe until its end.
type outcome struct {
	made []string
	err  error // nil: the daemon is ready
}

//lab:begin

// errDied matches the outcome of a daemon that ended without a word; what it made is still there.
var errDied = errors.New("the daemon died before it was ready")

//lab:end

// readOutcome reads to the end of file and not to the last line: the pipe closes when the daemon lives on in readiness
// or is gone, so that nothing half dead is left when the original exits.
func readOutcome(pipe io.Reader) outcome {
	//lab:begin ready failure
	//lab:instead // A guess for a beginning: in 200 ms the daemon has begun.
	//lab:instead unix.Poll(nil, 200)
	//lab:instead return outcome{}
	text, err := io.ReadAll(pipe)
	if err != nil {
		return outcome{err: fmt.Errorf("readiness pipe: %w", err)}
	}
	o := outcome{err: errDied}
	for line := range bytes.Lines(text) {
		line := strings.TrimSuffix(string(line), "\n")
		failed, isFailed := failedBeforeExec(line)
		switch {
		case isFailed:
			o.err = failed
		case line == lineReady:
			o.err = nil
		case strings.HasPrefix(line, lineMade):
			o.made = append(o.made, line[len(lineMade):])
		case strings.HasPrefix(line, lineError):
			o.err = errors.New(line[len(lineError):])
		case o.err == errDied && line != "":
			o.err = fmt.Errorf("%w: %s", errDied, line)
		}
	}
	return o
	//lab:end
}
