package tool_test

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"daemonlab/lab/tool"
)

func TestAWrongCommandLineIsToldInTheUsersWords(t *testing.T) {
	f := flag.NewFlagSet("tool", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Int("jobs", 1, "")
	f.Func("shard", "", func(string) error { return errors.New("no part") })
	for _, c := range [][3]string{
		{"--job", "no flag --job (see --help)", "no existe la opción --job (mira --help)"},
		{"-jobs", "--jobs needs a value (see --help)", "a --jobs le falta un valor (mira --help)"},
		{"--jobs=x", "--jobs \"x\": not a number in range (see --help)", "--jobs \"x\": no es un número válido (mira --help)"},
		{"--shard=x", "--shard \"x\": no part (see --help)", "--shard \"x\": no part (mira --help)"},
	} {
		err := f.Parse(c[:1])
		if en, es := tool.UsageError(err, "en"), tool.UsageError(err, "es"); en != c[1] || es != c[2] {
			t.Errorf("%s: %s, %s", c[0], en, es)
		}
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "report")
	for i, content := range []string{"the first, longer", "second"} {
		if err := tool.WriteFile(name, []byte(content), i == 0); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != content {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if err := tool.WriteFile(filepath.Dir(name), nil, false); err == nil {
		t.Error("a file has taken the place of a directory")
	}
	for _, dir := range []string{filepath.Dir(name), filepath.Dir(filepath.Dir(name))} {
		if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); left != nil {
			t.Errorf("left %v", left)
		}
	}
}
