package procfs_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daemonlab/lab/procfs"
)

func TestLinks(t *testing.T) {
	cmd := helper("wait")
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
	root, err := p.Root()
	must(t, err)
	equal(t, "Root", root, "/")
}

func TestMaps(t *testing.T) {
	maps, err := proc.Process(os.Getpid()).Maps()
	must(t, err)
	exe, err := os.Readlink("/proc/self/exe")
	must(t, err)
	if !slices.ContainsFunc(maps, func(m procfs.Mapping) bool { return m.Path == exe && m.End > m.Start }) {
		t.Error("the test's own code is not mapped")
	}
}

func TestParseMaps(t *testing.T) {
	maps, err := procfs.ParseMaps(strings.NewReader(
		"7f88d70e0000-7f88d7106000 r-xp 00026000 fe:00 326269                     /tmp/a b  c (deleted)\n" +
			"7f88d72b5000-7f88d72c2000 rw-p 00000000 00:00 0 \n" +
			"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"))
	must(t, err)
	equal(t, "the first", maps[0], procfs.Mapping{Start: 0x7f88d70e0000, End: 0x7f88d7106000, Offset: 0x26000,
		Path: "/tmp/a b  c (deleted)"})
	equal(t, "path of the second", maps[1].Path, "")
	equal(t, "path of the third", maps[2].Path, "[vsyscall]")
	for _, text := range []string{"", "1-2 r-xp 0 fe:00", "12 r-xp 0 fe:00 1", "1-x r-xp 0 fe:00 1",
		"1-2 r-xp x fe:00 1"} {
		_, err := procfs.ParseMaps(strings.NewReader(text + "\n"))
		refused(t, err, "maps", 1)
	}
}

// A directory laid out like /proc serves as well, and errors carry its names.
func TestOtherMount(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "7"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "7/stat"), []byte(statText("x y")), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "7/status"), []byte("Name:\tx y\nnonsense\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "version"), nil, 0o600))
	all, err := procfs.New(dir).Stats()
	must(t, err)
	equal(t, "processes", len(all), 1)
	_, err = procfs.New(dir).Process(7).Status()
	refused(t, err, filepath.Join(dir, "7/status"), 2)
}
