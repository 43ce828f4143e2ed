package procfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var long = "LONG=" + strings.Repeat("x", 100<<10)

// given is the environment that each subject starts with; changed is what the subjects turn it into.
var (
	given   = []string{"PATH=/bin", "DROPPED=1", "no equals sign", "EMPTY=", long, "LAST=\xff\n"}
	changed = []string{"PATH=/bin", "no equals sign", "EMPTY=", long, "LAST=\xff\n", "ADDED=yes"}
)

// sameVars compares as sets: the order is up to libc and Go.
func sameVars(t *testing.T, got Environment, want []string) {
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
		args   []string
		want   []string
		source string
	}{
		"dynamic":         {nil, nil, changed, "libc"},
		"copy relocation": {[]string{"-no-pie", "-fno-pic", "-DUSE_ENVIRON"}, nil, changed, "cenv"},
		"static":          {[]string{"-static"}, nil, changed, "cenv"},
		"static PIE":      {[]string{"-static-pie"}, nil, changed, "cenv"},
		"stripped":        {[]string{"-s"}, nil, changed, "libc"},
		"cleared":         {nil, []string{"clear"}, nil, "libc"},
		"unknown":         {[]string{"-static", "-s"}, nil, given, "/environ"},
	} {
		t.Run(name, func(t *testing.T) {
			exe := compile(t, c.flags...)
			cmd := exec.Command(exe, c.args...)
			cmd.Env = given
			p := start(t, cmd)
			must(t, os.Remove(exe)) // a program may be removed while it runs
			env, err := p.LiveEnviron()
			must(t, err)
			sameVars(t, env, c.want)
			equal(t, "Live", env.Live, name != "unknown")
			if !strings.Contains(env.Source, c.source) {
				t.Errorf("source is %q, want one in %q", env.Source, c.source)
			}
			vars, err := p.Environ()
			must(t, err)
			equal(t, "initial block unchanged", slices.Equal(vars, given), true)
		})
	}
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
