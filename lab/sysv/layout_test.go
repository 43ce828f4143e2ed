package sysv_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"daemonlab/lab/sysv"
)

// TestLayoutMatchesC compares structures and numbers with those of the C compiler's headers.
func TestLayoutMatchesC(t *testing.T) {
	var body, want strings.Builder
	for structure, layout := range map[string]map[string]sysv.Place{
		"struct msqid_ds": sysv.Layout(), "struct msginfo": sysv.InfoLayout(),
	} {
		for field, place := range layout {
			if field == "" {
				fmt.Fprintf(&body, "printf(\"%[1]s %%zu\\n\", sizeof(%[1]s));\n", structure)
				fmt.Fprintf(&want, "%s %d\n", structure, place.Size)
				continue
			}
			fmt.Fprintf(&body, "printf(\"%[1]s.%[2]s %%zu %%zu\\n\", offsetof(%[1]s, %[2]s), sizeof(((%[1]s *)0)->%[2]s));\n",
				structure, field)
			fmt.Fprintf(&want, "%s.%s %d %d\n", structure, field, place.Offset, place.Size)
		}
	}
	for name, value := range sysv.Flags() {
		fmt.Fprintf(&body, "#ifdef %[1]s\nprintf(\"%[1]s %%d\\n\", %[1]s);\n#else\nputs(\"%[1]s %[2]d\");\n#endif\n",
			name, value)
		fmt.Fprintf(&want, "%s %d\n", name, value)
	}
	got := runC(t, "#include <stddef.h>\nint main(void) {\n"+body.String()+"}\n")
	if got != want.String() {
		t.Errorf("in C:\n%s\nhere:\n%s", got, want.String())
	}
}

// TestFileKeyIsFtok compares keys with those of the C library.
func TestFileKeyIsFtok(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var calls, want strings.Builder
	for _, name := range []string{file, filepath.Dir(file), "/", "/dev/null"} {
		for _, project := range []byte{1, 'f', 255} {
			fmt.Fprintf(&calls, "printf(\"%%d\\n\", ftok(%q, %d));\n", name, project)
			key, err := sysv.FileKey(name, project)
			must(t, err)
			fmt.Fprintln(&want, int32(key))
		}
	}
	if got := runC(t, "int main(void) {\n"+calls.String()+"}\n"); got != want.String() {
		t.Errorf("in C:\n%s\nhere:\n%s", got, want.String())
	}
}

// runC compiles and runs a program.
func runC(t *testing.T, program string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("there is no gcc to ask")
	}
	source := filepath.Join(t.TempDir(), "ask.c")
	program = "#define _GNU_SOURCE\n#include <stdio.h>\n#include <sys/ipc.h>\n#include <sys/msg.h>\n" + program
	must(t, os.WriteFile(source, []byte(program), 0o600))
	binary := strings.TrimSuffix(source, ".c")
	if out, err := exec.Command(gcc, "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s\n%s", err, out, program)
	}
	out, err := exec.Command(binary).Output()
	must(t, err)
	return string(out)
}
