package bundle_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daemonlab/specs/check"
	"daemonlab/specs/grade/bundle"
)

var must = check.Must

// kit returns a kit in which every program is a copy of one of this machine's.
func kit(t *testing.T, program, goRoot string) bundle.Kit {
	t.Helper()
	path, err := exec.LookPath(program)
	must(t, err)
	content, err := os.ReadFile(path)
	must(t, err)
	dir := t.TempDir()
	check.Files(t, dir, string(content), 0o755, bundle.Programs...)
	return bundle.Kit{Programs: dir, GoRoot: goRoot}
}

func machineGo(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("go env GOROOT: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// unpacked unpacks a zip as unzip(1) does.
func unpacked(t *testing.T, file string) string {
	t.Helper()
	z, err := zip.OpenReader(file)
	must(t, err)
	defer z.Close()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, z))
	// CopyFS keeps only the executable bit of the mode.
	return dir
}

// smallGo has the layout of GOROOT, for tests that build nothing.
func smallGo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	check.Files(t, dir, "", 0o755, "VERSION", "README.md", "bin/go", "bin/gofmt", "pkg/tool/x/compile",
		"pkg/tool/x/vet", "pkg/include/textflag.h", "src/os/os.go", "src/os/os_test.go", "src/os/testdata/x.go", "src/cmd/go/main.go", "test/a.go")
	return dir
}

func TestBundleIsMinimalAndReproducible(t *testing.T) {
	k := kit(t, "true", smallGo(t))
	module := t.TempDir()
	check.Files(t, module, "", 0o444, "unix.go", "unix_test.go", "v1.zip")
	k.Modules = map[string]string{module: "golang.org/x/sys@v1"}
	dir := t.TempDir()
	first, second := filepath.Join(dir, "1.zip"), filepath.Join(dir, "2.zip")
	for _, file := range []string{first, second} {
		must(t, bundle.Gradescope(file, k))
	}
	a, _ := os.ReadFile(first)
	b, _ := os.ReadFile(second)
	if !bytes.Equal(a, b) {
		t.Error("two bundles of one kit differ")
	}
	names := slices.Sorted(maps.Keys(check.Tree(t, unpacked(t, first))))
	want := "bin/grade bin/judge bin/launch bin/specs.test go.sh go/modules/golang.org/x/sys@v1/unix.go " +
		"go/root/VERSION go/root/bin/go go/root/pkg/include/textflag.h go/root/pkg/tool/x/compile " +
		"go/root/src/os/os.go run_autograder setup.sh"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("it has %s", got)
	}
}

// Here the grader is a program that just fails.
func TestCrashLeavesAResult(t *testing.T) {
	autograder := t.TempDir()
	file := filepath.Join(t.TempDir(), "gradescope.zip")
	must(t, bundle.Gradescope(file, kit(t, "false", smallGo(t))))
	must(t, os.Rename(unpacked(t, file), filepath.Join(autograder, "source")))
	must(t, os.MkdirAll(filepath.Join(autograder, "submission"), 0o755))
	cmd := exec.Command("bash", filepath.Join(autograder, "source", "run_autograder"))
	cmd.Env = append(os.Environ(), "AUTOGRADER="+autograder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("run_autograder: %v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(autograder, "results", "results.json"))
	must(t, err)
	var result map[string]any
	must(t, json.Unmarshal(content, &result))
	if _, scored := result["score"]; scored || !strings.Contains(fmt.Sprint(result["output"]), "grader failed") {
		t.Errorf("the grader crashed, and the result is %s", content)
	}
}

const program = `package main

import (
	_ "net"
	_ "os/signal"
	_ "sync/atomic"
)

func main() { println("built") }
`

func TestBundledGoBuildsPrograms(t *testing.T) {
	check.Slow(t)
	file := filepath.Join(t.TempDir(), "gradescope.zip")
	must(t, bundle.Gradescope(file, kit(t, "true", machineGo(t))))
	if info, err := os.Stat(file); err != nil || info.Size() > 100<<20 {
		t.Errorf("the zip is too large to be uploaded: %d bytes, %v", info.Size(), err)
	}
	dir := unpacked(t, file)
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644))
	cmd := exec.Command("bash", "-c", "set -e; kit=$PWD; . ./go.sh; CGO_ENABLED=0 go build -o main main.go; ./main")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "built\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestWorkflowIsValidAndFetchesThisGrader(t *testing.T) {
	check.Slow(t)
	bin := t.TempDir()
	install := exec.Command("go", "install", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
	install.Env = append(os.Environ(), "GOBIN="+bin)
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("actionlint cannot be fetched and built: %v\n%s", err, out)
	}
	dir := t.TempDir()
	must(t, bundle.Classroom50(dir, kit(t, "true", smallGo(t))))
	workflow := filepath.Join(dir, bundle.WorkflowFile)
	if out, err := exec.Command(filepath.Join(bin, "actionlint"), "-no-color", workflow).CombinedOutput(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
	sum, err := exec.Command("sha256sum", filepath.Join(dir, bundle.GraderFile)).Output()
	must(t, err)
	content, _ := os.ReadFile(workflow)
	if !strings.Contains(string(content), `SHA256: "`+strings.Fields(string(sum))[0]+`"`) {
		t.Errorf("the workflow does not know the grader's hash %s", sum)
	}
}
