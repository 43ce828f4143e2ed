package birth

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func base(path string) string { return filepath.Base(strings.TrimSuffix(path, " (deleted)")) }

func isSocket(file string) bool { return strings.HasPrefix(file, "socket:") }

func drawCloseRange(_ *reader, row *Row) {
	e := &row.events[0]
	last := "max"
	if to := e.Args[1] & 0xffffffff; to != 0xffffffff {
		last = fmt.Sprint(to)
	}
	flags := ""
	if e.Args[2]&unix.CLOSE_RANGE_CLOEXEC != 0 {
		flags = ", CLOEXEC"
	}
	row.ID, row.Text = "fds", fmt.Sprintf("close_range(%d, %s%s)%s", e.Args[0], last, flags, outcome(e))
}

func drawClose(r *reader, row *Row) {
	if e := &row.events[0]; r.isPIDFile(e) {
		row.ID, row.Text = "pidfile", fmt.Sprintf("close(%s)", base(r.pidFile))
		return
	}
	least, greatest := row.events[0].Args[0], row.events[0].Args[0]
	var starters []int
	for i := range row.events {
		e := &row.events[i]
		least, greatest = min(least, e.Args[0]), max(greatest, e.Args[0])
		if fd, ok := r.inherited(e); ok {
			starters = append(starters, fd)
		}
	}
	row.ID = "fds"
	row.Text = fmt.Sprintf("close(%d)", least)
	if n := len(row.events); n > 1 {
		row.Text = fmt.Sprintf("close(%d ... %d), %d calls", least, greatest, n)
	}
	if len(starters) > 0 && len(row.events) > 1 {
		row.Text += fmt.Sprintf(", among them the starter's %s", list(starters))
	}
}

func drawDup(_ *reader, row *Row) {
	e := &row.events[0]
	row.ID = "stdio"
	var to []int
	for _, e := range row.events {
		to = append(to, int(e.Args[1]))
	}
	row.Text = fmt.Sprintf("%s(%s, %s)", e.Name, e.File, list(to))
}

func drawOpen(r *reader, row *Row) {
	e := &row.events[0]
	row.ID = "stdio"
	if r.isPIDFile(e) {
		row.ID = "pidfile"
	}
	row.Text = fmt.Sprintf("open(%s, %s)%s", base(e.Path), openFlags(e.Value), outcome(e))
	if row.ID == "stdio" {
		row.Text = fmt.Sprintf("open(%s) = %d", e.Path, e.Result)
	}
}

func openFlags(flags uint64) string {
	words := []string{[]string{"RDONLY", "WRONLY", "RDWR", "3"}[flags&unix.O_ACCMODE]}
	for _, f := range []struct {
		bit  uint64
		name string
	}{
		{unix.O_CREAT, "CREAT"}, {unix.O_EXCL, "EXCL"}, {unix.O_TRUNC, "TRUNC"}, {unix.O_APPEND, "APPEND"},
		{unix.O_NOFOLLOW, "NOFOLLOW"}, {unix.O_NONBLOCK, "NONBLOCK"},
	} {
		if flags&f.bit != 0 {
			words = append(words, f.name)
		}
	}
	return strings.Join(words, "|")
}

func drawLock(r *reader, row *Row) {
	e := &row.events[0]
	how := "LOCK_SH"
	switch {
	case e.Name == "fcntl":
		how = map[uint64]string{unix.F_SETLK: "SETLK", unix.F_SETLKW: "SETLKW", unix.F_OFD_SETLK: "OFD_SETLK",
			unix.F_OFD_SETLKW: "OFD_SETLKW"}[e.Args[1]]
		how += ", " + map[uint64]string{unix.F_RDLCK: "RDLCK", unix.F_WRLCK: "WRLCK", unix.F_UNLCK: "UNLCK"}[e.Value]
	case e.Args[1]&unix.LOCK_EX != 0:
		how = "LOCK_EX"
	case e.Args[1]&unix.LOCK_UN != 0:
		how = "LOCK_UN"
	}
	if e.Name == "flock" && e.Args[1]&unix.LOCK_NB != 0 {
		how += "|NB"
	}
	row.ID, row.Text = "pidfile", fmt.Sprintf("%s(%s, %s)%s", e.Name, base(r.pidFile), how, outcome(e))
}

func drawPIDFile(r *reader, row *Row) {
	e := &row.events[0]
	argument := fmt.Sprint(e.Args[1])
	if e.Name == "fchmod" {
		argument = fmt.Sprintf("%04o", e.Args[1])
	}
	row.ID, row.Text = "pidfile", fmt.Sprintf("%s(%s, %s)%s", e.Name, base(r.pidFile), argument, outcome(e))
}

func drawUnlink(_ *reader, row *Row) {
	e := &row.events[0]
	row.ID, row.Text = "pidfile", fmt.Sprintf("unlink(%s)%s", base(e.Path), outcome(e))
}

func drawPipe(_ *reader, row *Row) {
	row.ID, row.Text = "ready", "pipe()"
}

const maxWord = 16 // bytes of a word to the original that are shown

func drawWrite(r *reader, row *Row) {
	e := &row.events[0]
	if r.isPIDFile(e) {
		row.ID, row.Text = "pidfile", fmt.Sprintf("%s(%s, %q)%s", e.Name, base(r.pidFile), e.Data, outcome(e))
		return
	}
	row.ID, row.To = "ready", r.original
	word := fmt.Sprintf("%d bytes", e.Result)
	if text := strings.TrimRight(string(e.Data), "\n"); len(text) <= maxWord && printable(text) {
		word = fmt.Sprintf("%q", text)
	}
	row.Text = fmt.Sprintf("%s(pipe, %s)", e.Name, word)
	if e.Failed() {
		row.Text = e.Name + "(pipe)" + outcome(e)
	}
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' })
}

func drawReceived(_ *reader, row *Row) {
	e := &row.events[0]
	if isCookie(e) {
		row.ID, row.Text = "notify", e.Name+"(netlink): notified"
		return
	}
	n := int64(0)
	for _, e := range row.events {
		n += max(e.Result, 0)
	}
	row.ID, row.Text = "ready", fmt.Sprintf("read(pipe): %d bytes", n)
	if last := row.events[len(row.events)-1]; last.Result == 0 {
		row.Text += ", then its end"
	}
}
