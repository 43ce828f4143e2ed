package record

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/trace/event"
)

// cleanings are what a server has made and may leave when it is ended: its queues and its PID file. Its log is what it
// was asked for, and stays.
type cleanings struct {
	queues, files []string
	locked        map[string]bool // files that a lock or a PID shows to be PID files
}

var number = regexp.MustCompile(`^[0-9]*\n?$`)

// note remembers what an event has made.
func (c *cleanings) note(e *event.Event) {
	if e.Kind != event.Call || e.Failed() {
		return
	}
	switch e.Name {
	case "mq_open":
		if e.Value&unix.O_CREAT != 0 && !e.Existed {
			c.queues = append(c.queues, e.Path)
		}
	case "open", "openat", "openat2", "creat":
		if e.Value&unix.O_CREAT != 0 && !e.Existed && filepath.IsAbs(e.File) {
			c.files = append(c.files, e.File)
		}
	case "flock", "fcntl", "write", "pwrite":
		if c.locked == nil {
			c.locked = map[string]bool{}
		}
		if e.Name == "flock" || e.Name == "fcntl" || number.Match(e.Data) {
			c.locked[e.File] = true
		}
	}
}

// clean removes what is left. A file goes only while it holds the PID of a process that has been traced, or nothing.
func (c *cleanings) clean(pids []int) {
	for _, queue := range c.queues {
		mq.Unlink(queue)
	}
	for _, file := range c.files {
		if c.locked[file] && holdsOneOf(file, pids) {
			os.Remove(file)
		}
	}
}

const maxPIDFile = 16 // bytes of a file that can hold nothing but a PID

func holdsOneOf(file string, pids []int) bool {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPIDFile {
		return false
	}
	content, err := os.ReadFile(file)
	text := strings.TrimSpace(string(content))
	pid, _ := strconv.Atoi(text)
	return err == nil && (text == "" || slices.Contains(pids, pid))
}
