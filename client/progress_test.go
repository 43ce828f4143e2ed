package main_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/specs/harness"
)

// terminal is a pseudo-terminal as a person would use.
type terminal struct {
	t     *testing.T
	slave *os.File

	mu   sync.Mutex
	text []byte        // everything written to it
	over chan struct{} // closed when nobody has it open any more
}

func newTerminal(t *testing.T, columns int) *terminal {
	t.Helper()
	master, slave, err := harness.OpenTerminal()
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	size := &unix.Winsize{Row: 24, Col: uint16(columns)}
	must(t, unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, size))
	tty := &terminal{t: t, slave: slave, over: make(chan struct{})}
	go tty.watch(master)
	t.Cleanup(tty.close)
	return tty
}

func (tty *terminal) watch(master *os.File) {
	defer close(tty.over)
	defer master.Close()
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		tty.mu.Lock()
		tty.text = append(tty.text, buf[:n]...)
		tty.mu.Unlock()
		if err != nil { // EIO: the other side is closed
			return
		}
	}
}

// close closes this process's side. The program must have ended.
func (tty *terminal) close() {
	tty.slave.Close()
	<-tty.over
}

func (tty *terminal) written() string {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return string(tty.text)
}

// screen returns what a person sees at the end, and the widest that any line was.
func (tty *terminal) screen() (lines string, widest int) {
	tty.close()
	var done, line []byte
	column := 0
	for _, c := range []byte(tty.written()) {
		switch c {
		case '\r':
			column = 0
		case '\n':
			done, line = append(append(done, strings.TrimRight(string(line), " ")...), '\n'), nil
		default:
			line = append(line[:column], append([]byte{c}, line[min(column+1, len(line)):]...)...)
			column++
			widest = max(widest, column)
		}
	}
	return string(done) + strings.TrimRight(string(line), " "), widest
}

// on makes the terminal the program's stderr.
func (c *client) on(tty *terminal) *client {
	c.cmd.Stderr = tty.slave
	return c
}

// A long transfer shows its progress on a line that is gone at the end.
func TestProgress(t *testing.T) {
	t.Parallel()
	for columns, facts := range map[int][]string{
		100: {" 50%  9.8 KiB of 19.5 KiB  ", "B/s  ETA ", " [====", "    ]"},
		40:  {" 50%  9.8 KiB of 19.5 KiB  ", "B/s"},
		10:  {" 50%"},
	} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			c, e, tty := halfway(t, columns)
			messages := 2 * e.data(make([]byte, 10000))
			e.end()
			c.wait()
			for _, fact := range facts {
				if !strings.Contains(tty.written(), fact) {
					t.Errorf("%q does not say %q", tty.written(), fact)
				}
			}
			text, widest := tty.screen()
			if summary := received(20000, messages); text != summary || widest > max(columns, len(summary)) {
				t.Errorf("the terminal shows %q, %d columns at most", text, widest)
			}
		})
	}
}

func TestNoProgressWhenFast(t *testing.T) {
	t.Parallel()
	s, tty := newServer(t), newTerminal(t, 80)
	c := s.command("PATH").on(tty).start()
	e, began := s.request(), time.Now()
	messages := e.serve(noise(100000))
	c.wait()
	tty.close()
	if took := time.Since(began); took > 400*time.Millisecond {
		t.Skipf("this machine is too busy: %v", took)
	}
	if want := strings.ReplaceAll(received(100000, messages), "\n", "\r\n"); tty.written() != want {
		t.Errorf("the terminal got %q, expected %q", tty.written(), want)
	}
}

// halfway returns a client whose bar says 50 %.
func halfway(t *testing.T, columns int) (*client, *exchange, *terminal) {
	t.Helper()
	s, tty := newServer(t), newTerminal(t, columns)
	c := s.command("PATH").on(tty).start()
	e := s.request()
	e.info(20000)
	e.data(make([]byte, 10000))
	eventually(t, "a bar", func() bool { return strings.Contains(tty.written(), " 50%") })
	return c, e, tty
}

// redraws waits until the bar was drawn three times more.
func (tty *terminal) redraws() {
	tty.t.Helper()
	const returns = 3 * 2 // to column 0, before and after
	enough := strings.Count(tty.written(), "\r") + returns
	eventually(tty.t, "the bar is drawn again", func() bool { return strings.Count(tty.written(), "\r") >= enough })
}

func TestSignalErasesProgress(t *testing.T) {
	t.Parallel()
	c, _, tty := halfway(t, 80)
	c.signal(unix.SIGINT)
	c.wait().expect(t, 130, "")
	if text, _ := tty.screen(); text != "" {
		t.Errorf("the terminal shows %q", text)
	}
}

// Ctrl-S stops the terminal's output but must not keep a signal from ending the program.
func TestSignalWhileTerminalIsStopped(t *testing.T) {
	t.Parallel()
	c, _, tty := halfway(t, 80)
	const suspend = 0 // TCOOFF
	must(t, unix.IoctlSetInt(int(tty.slave.Fd()), unix.TCXONC, suspend))
	c.signal(unix.SIGTERM)
	c.wait().expect(t, 143, "")
}
