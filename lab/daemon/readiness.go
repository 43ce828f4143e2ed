package daemon

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// lineFailed is written by the children of step 5, which can only fill in digits.
const (
	lineFailed  = "failed step 0 errno 000\n"
	failedStep  = len("failed step ")
	failedErrno = len(lineFailed) - len("0\n") // its last digit
)

//lab:begin

// The readiness pipe carries lines from the daemon to the original: its PID and the name of what it made, quoted, since
// it may contain a newline, and finally that it is ready or why not. Any other text was printed by a crashing runtime.
const (
	lineMade  = "made by %d: %q"
	lineReady = "ready"
	lineError = "error "
)

var errDied = errors.New("the daemon died before it was ready")

// Steps that can fail between fork and exec.
const (
	stepSetsid = iota
	stepFork
	stepExec
)

var stepNames = []string{"setsid", "fork", "execute /proc/self/exe"}

// failedBeforeExec parses lineFailed.
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

// Daemon is the daemon's side of its start.
type Daemon struct {
	config []byte
	pipe   *os.File // nil once the original has been told
}

// Config decodes into v, a pointer, the configuration that the original passed to [Start].
func (d *Daemon) Config(v any) error {
	return gob.NewDecoder(bytes.NewReader(d.config)).Decode(v)
}

// Made tells the original that the daemon has just made something that outlives it, a file or a queue. If the start
// fails, the original passes the name to [Options.Unmake].
func (d *Daemon) Made(name string) error {
	//lab:begin failure: tell
	//lab:instead return nil
	return d.say(fmt.Sprintf(lineMade, os.Getpid(), name))
	//lab:end
}

// Ready tells the original that the daemon can serve (step 7), so that it exits with success (step 8). An error means
// that the start has failed: crashes cannot be caught, or the original is gone.
//
// Until then the original gets the text of a crash. Afterwards stderr is /dev/null, so catchCrashes has to call
// [debug.SetCrashOutput]: the runtime then writes text and stack of a panic or fatal signal to a file, but only the
// stack of a fatal error, whose message Go prints to stderr alone.
func (d *Daemon) Ready(catchCrashes func() error) error {
	//lab:begin ready
	//lab:instead return nil
	if err := catchCrashes(); err != nil {
		return fmt.Errorf("catch crashes: %w", err)
	}
	if err := connectStdio(); err != nil { // undoes reportCrashes
		return err
	}
	if err := d.say(lineReady); err != nil {
		return err
	}
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

// awaitEnd waits for the end of a daemon that has closed the pipe: its locks on what it made are released a moment
// later. The timeout is for a PID that now belongs to another process.
func awaitEnd(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
	}
}

//lab:end

// reportCrashes makes the pipe stderr again, as it was from the exec to step 7, until the daemon is ready: the runtime
// prints there why it ends the process. A file of [debug.SetCrashOutput] does not get all of that.
func (d *Daemon) reportCrashes() {
	//lab:begin failure
	unix.Dup3(int(d.pipe.Fd()), 2, 0)
	//lab:end
}

// report tells the original why there will be no daemon. A nil pipe means that it has already been told.
func report(pipe *os.File, err error) {
	//lab:begin failure
	if pipe != nil {
		io.WriteString(pipe, lineError+strings.ReplaceAll(err.Error(), "\n", "; ")+"\n")
	}
	//lab:end
}

// inheritedPipe takes over the readiness pipe at its number.
func inheritedPipe() *os.File {
	unix.CloseOnExec(pipeFD)
	return os.NewFile(pipeFD, "readiness pipe")
}

// readOutcome returns what the daemon has made, and nil if it is ready or the reason why not. It reads to the end of
// file: after an error the daemon still runs, and the pipe closes when it ends.
func readOutcome(pipe io.Reader) (made []string, err error) {
	//lab:begin ready failure: await
	//lab:instead // A first guess: after 200 ms the daemon is running.
	//lab:instead unix.Poll(nil, 200)
	//lab:instead return nil, nil
	text, err := io.ReadAll(pipe)
	if err != nil {
		return nil, fmt.Errorf("readiness pipe: %w", err)
	}
	err = errDied
	var pid int
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		failed, isFailed := failedBeforeExec(line)
		var name string
		isMade, _ := fmt.Sscanf(line, lineMade, &pid, &name)
		switch {
		case isFailed:
			err = failed
		case line == lineReady:
			err = nil
		case isMade == 2:
			made = append(made, name)
		case strings.HasPrefix(line, lineError):
			err = errors.New(line[len(lineError):])
		case line != "" && err == errDied:
			err = fmt.Errorf("%w: %s", errDied, line)
		}
	}
	if err != nil && pid != 0 {
		awaitEnd(pid)
	}
	return made, err
	//lab:end
}
