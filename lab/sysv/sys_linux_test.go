package sysv

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"daemonlab/specs/check"
)

// TestMatchesC compares layouts, numbers and keys with the C compiler's headers and library.
func TestMatchesC(t *testing.T) {
	check.Needs(t, "gcc")
	dir := t.TempDir()
	key, err := FileKey(dir, 255)
	check.Must(t, err)
	ds, perm := reflect.TypeFor[msqidDS](), reflect.TypeFor[unix.SysvIpcPerm]()
	program := "#define _GNU_SOURCE\n#include <assert.h>\n#include <stddef.h>\n#include <sys/msg.h>\nint main(void) {\n" +
		fmt.Sprintf("assert(ftok(%q, 255) == %d);\n", dir, key)
	for expression, value := range map[string]uintptr{
		"sizeof(struct msqid_ds)":                  ds.Size(),
		"offsetof(struct msqid_ds, msg_perm.uid)":  offset(perm, "Uid"),
		"offsetof(struct msqid_ds, msg_perm.mode)": offset(perm, "Mode"),
		"offsetof(struct msqid_ds, msg_stime)":     offset(ds, "stime"),
		"offsetof(struct msqid_ds, msg_rtime)":     offset(ds, "rtime"),
		"offsetof(struct msqid_ds, __msg_cbytes)":  offset(ds, "cbytes"),
		"offsetof(struct msqid_ds, msg_qnum)":      offset(ds, "qnum"),
		"offsetof(struct msqid_ds, msg_qbytes)":    offset(ds, "qbytes"),
		"offsetof(struct msqid_ds, msg_lspid)":     offset(ds, "lspid"),
		"offsetof(struct msqid_ds, msg_lrpid)":     offset(ds, "lrpid"),
		"sizeof(long)":                             uintptr(long),
		"MSG_INFO":                                 msgInfo, "MSG_NOERROR": NoError, "MSG_EXCEPT": Except,
	} {
		program += fmt.Sprintf("assert(%s == %d);\n", expression, value)
	}
	file := filepath.Join(dir, "asserts")
	cmd := exec.Command("gcc", "-x", "c", "-o", file, "-")
	cmd.Stdin = strings.NewReader(program + "}\n")
	out, err := cmd.CombinedOutput()
	if err == nil {
		out, err = exec.Command(file).CombinedOutput()
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func offset(structure reflect.Type, name string) uintptr {
	field, found := structure.FieldByName(name)
	if !found {
		panic(name)
	}
	return field.Offset
}
