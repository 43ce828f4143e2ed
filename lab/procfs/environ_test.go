package procfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daemonlab/lab/procfs"
)

var long = "LONG=" + strings.Repeat("x", 100<<10)

// given is an environment as no program expects it; changed is what the subjects make of it.
var (
	given   = []string{"PATH=/bin", "DROPPED=1", "no equals sign", "EMPTY=", long, "LAST=\xff\n"}
	changed = []string{"PATH=/bin", "no equals sign", "EMPTY=", long, "LAST=\xff\n", "ADDED=yes"}
)

func TestParseEnviron(t *testing.T) {
	for text, want := range map[string][]string{
		"":                 nil,
		"\x00":             {""},
		"A=1\x00":          {"A=1"},
		"A=1\x00\x00B\x00": {"A=1", "", "B"},
		"A=1\x00B=2":       {"A=1", "B=2"},
	} {
		got, err := procfs.ParseEnviron(strings.NewReader(text))
		must(t, err)
		equal(t, text, slices.Equal(got, want), true)
	}
}

func TestInitialEnviron(t *testing.T) {
	cmd := helper("wait")
	cmd.Env = append(cmd.Env, given...)
	vars, err := start(t, cmd).Environ()
	must(t, err)
	equal(t, "environment", slices.Equal(vars, cmd.Env), true)
}

// sameVars compares without order, which libc and Go choose.
func sameVars(t *testing.T, got procfs.Environment, want []string) {
	t.Helper()
	vars, sorted := slices.Sorted(slices.Values(got.Vars)), slices.Sorted(slices.Values(want))
	if !slices.Equal(vars, sorted) {
		t.Errorf("%s: got %.200q, want %.200q", got.Source, vars, sorted)
	}
}

// compile builds testdata/cenv.c, or skips with the compiler's reason.
func compile(t *testing.T, flags ...string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc: ", err)
	}
	exe := filepath.Join(t.TempDir(), "cenv")
	args := append([]string{"-o", exe, "testdata/cenv.c"}, flags...)
	if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Skipf("gcc %s: %v: %s", strings.Join(flags, " "), err, out)
	}
	return exe
}

func TestLiveEnvironOfC(t *testing.T) {
	for name, c := range map[string]struct {
		flags  []string
		source string
	}{
		"dynamic":         {nil, "libc"},
		"copy relocation": {[]string{"-no-pie", "-fno-pic", "-DUSE_ENVIRON"}, "cenv"},
		"static":          {[]string{"-static"}, "cenv"},
		"static PIE":      {[]string{"-static-pie"}, "cenv"},
		"stripped":        {[]string{"-s"}, "libc"},
	} {
		t.Run(name, func(t *testing.T) {
			exe := compile(t, c.flags...)
			cmd := exec.Command(exe)
			cmd.Env = given
			p := start(t, cmd)
			must(t, os.Remove(exe)) // a program may be removed while it runs
			env, err := p.LiveEnviron()
			must(t, err)
			sameVars(t, env, changed)
			equal(t, "Live", env.Live, true)
			if !strings.Contains(env.Source, c.source) {
				t.Errorf("source is %q, want one in %q", env.Source, c.source)
			}
			vars, err := p.Environ()
			must(t, err)
			equal(t, "initial block unchanged", slices.Equal(vars, given), true)
		})
	}
}

func TestLiveEnvironCleared(t *testing.T) {
	cmd := exec.Command(compile(t), "clear")
	cmd.Env = given
	env, err := start(t, cmd).LiveEnviron()
	must(t, err)
	sameVars(t, env, nil)
	equal(t, "Live", env.Live, true)
}

func TestLiveEnvironUnknown(t *testing.T) {
	cmd := exec.Command(compile(t, "-static", "-s"))
	cmd.Env = given
	p := start(t, cmd)
	env, err := p.LiveEnviron()
	must(t, err)
	sameVars(t, env, given)
	equal(t, "Live", env.Live, false)
	equal(t, "Source", env.Source, p.Path("environ"))
}

func TestLiveEnvironOfGo(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	exe := filepath.Join(t.TempDir(), "goenv")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", exe, "testdata/goenv/main.go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	cmd := exec.Command(exe)
	cmd.Env = given
	env, err := start(t, cmd).LiveEnviron()
	must(t, err)
	sameVars(t, env, changed)
	equal(t, "Live", env.Live, true)
}
