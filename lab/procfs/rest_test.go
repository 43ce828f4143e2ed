package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestLinks(t *testing.T) {
	cmd := helper()
	cmd.Dir = t.TempDir()
	p := start(t, cmd)
	cwd, err := p.Cwd()
	must(t, err)
	equal(t, "Cwd", cwd, cmd.Dir)
	self, err := os.Readlink("/proc/self/exe")
	must(t, err)
	exe, err := p.Exe()
	must(t, err)
	equal(t, "Exe", exe, self)
}

func TestParseMaps(t *testing.T) {
	maps, err := parseMaps("" +
		"7f88d70e0000-7f88d7106000 r-xp 00026000 fe:00 326269                     /tmp/a b  c (deleted)\n" +
		"7f88d72b5000-7f88d72c2000 rw-p 00000000 00:00 0 \n" +
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n")
	must(t, err)
	equal(t, "the first", maps[0], mapping{0x7f88d70e0000, 0x7f88d7106000, 0x26000, "/tmp/a b  c (deleted)"})
	equal(t, "path of the second", maps[1].path, "")
	equal(t, "path of the third", maps[2].path, "[vsyscall]")
	for _, text := range []string{"", "1-2 r-xp 0 fe:00", "12 r-xp 0 fe:00 1", "1-x r-xp 0 fe:00 1",
		"1-2 r-xp x fe:00 1"} {
		refused(t, parseMaps, text+"\n", "line 1")
	}
}

// A directory laid out like /proc works too, and errors carry its names.
func TestOtherMount(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "7"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "7/stat"), []byte(statText("x y")), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "7/status"), []byte("Name:\tx y\nnonsense\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "version"), nil, 0o600))
	all, err := New(dir).Stats()
	must(t, err)
	equal(t, "processes", len(all), 1)
	_, err = New(dir).Process(7).Status()
	want := filepath.Join(dir, "7/status") + `: "nonsense\n": not of the form name:<tab>value`
	equal(t, "error", fmt.Sprint(err), want)
}

// FuzzParsers feeds any text to every parser, and puts it between the parentheses of a stat: as a name it must come out
// unchanged and affect no other field.
func FuzzParsers(f *testing.F) {
	for _, text := range append(hostileComms, statusText, statText("cat"),
		"pos:\t0\nflags:\t0100000\nlock:\t1: FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\n",
		"1: -> FLOCK  ADVISORY  WRITE 708 00:13:13361 0 EOF\n",
		"7f88d70e0000-7f88d7106000 r--p 00000000 fe:00 326269    /usr/lib/libc.so.6\n") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parseStatus(text)
		parseStat(text)
		parseFDInfo(text)
		parseLocks(text)
		parseMaps(text)
		s, err := parseStat(statText(text))
		must(t, err)
		equal(t, "Comm", s.Comm, text)
		equal(t, "Session", s.Session, 2153)
	})
}
