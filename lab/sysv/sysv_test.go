package sysv

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How queues behave, which is the kernel's doing, is stated in specs/sysv. Here is what the package adds.

// newQueue makes a queue that goes with the test.
func newQueue(t *testing.T) Queue {
	t.Helper()
	q, err := Get(Private, Create, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Remove() })
	return q
}

// TestMatchesC compares layouts, numbers and keys with those of the C compiler's headers and library.
func TestMatchesC(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("there is no gcc to ask")
	}
	var ds msqidDS
	var info msgInfo
	file := t.TempDir()
	key, err := FileKey(file, 255)
	if err != nil {
		t.Fatal(err)
	}
	var body, want strings.Builder
	for expression, value := range map[string]int{
		"sizeof(struct msqid_ds)": int(unsafe.Sizeof(ds)), "sizeof(struct msginfo)": int(unsafe.Sizeof(info)),
		"offsetof(struct msqid_ds, msg_perm.uid)":  int(unsafe.Offsetof(ds.perm.Uid)),
		"offsetof(struct msqid_ds, msg_perm.mode)": int(unsafe.Offsetof(ds.perm.Mode)),
		"offsetof(struct msqid_ds, msg_stime)":     int(unsafe.Offsetof(ds.stime)),
		"offsetof(struct msqid_ds, msg_rtime)":     int(unsafe.Offsetof(ds.rtime)),
		"offsetof(struct msqid_ds, __msg_cbytes)":  int(unsafe.Offsetof(ds.cbytes)),
		"offsetof(struct msqid_ds, msg_qnum)":      int(unsafe.Offsetof(ds.qnum)),
		"offsetof(struct msqid_ds, msg_qbytes)":    int(unsafe.Offsetof(ds.qbytes)),
		"offsetof(struct msqid_ds, msg_lspid)":     int(unsafe.Offsetof(ds.lspid)),
		"offsetof(struct msqid_ds, msg_lrpid)":     int(unsafe.Offsetof(ds.lrpid)),
		"offsetof(struct msginfo, msgmax)":         int(unsafe.Offsetof(info.msgmax)),
		"offsetof(struct msginfo, msgmni)":         int(unsafe.Offsetof(info.msgmni)),
		"IPC_INFO":                                 ipcInfo, "MSG_INFO": msgInfoAll, "MSG_NOERROR": NoError, "MSG_EXCEPT": Except,
		`ftok("` + file + `", 255)`: int(key),
	} {
		fmt.Fprintf(&body, "printf(\"%%s %%ld\\n\", %q, (long)(%s));\n", expression, expression)
		fmt.Fprintf(&want, "%s %d\n", expression, value)
	}
	source := filepath.Join(file, "ask.c")
	program := "#define _GNU_SOURCE\n#include <stddef.h>\n#include <stdio.h>\n#include <sys/msg.h>\nint main(void) {\n" +
		body.String() + "}\n"
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(gcc, "-o", source+".out", source).CombinedOutput()
	if err == nil {
		out, err = exec.Command(source + ".out").Output()
	}
	if err != nil || string(out) != want.String() {
		t.Errorf("%v, in C:\n%s\nhere:\n%s", err, out, want.String())
	}
}

func TestSystemLimits(t *testing.T) {
	l, err := SystemLimits()
	for name, got := range map[string]int{"msgmax": l.MsgMax, "msgmnb": l.MsgMnb, "msgmni": l.MsgMni} {
		text, readErr := os.ReadFile("/proc/sys/kernel/" + name)
		if want := strings.TrimSpace(string(text)); err != nil || readErr != nil || fmt.Sprint(got) != want {
			t.Errorf("%s is %q, not %d, %v, %v", name, want, got, err, readErr)
		}
	}
}

// TestTextsOfEveryLength goes over the places where the kernel begins a new page for a text.
func TestTextsOfEveryLength(t *testing.T) {
	q := newQueue(t)
	text := make([]byte, 8192)
	rand.NewChaCha8([32]byte{}).Read(text)
	buf := make([]byte, len(text)+1)
	for size := 0; size <= len(text); size += 1 + size/16*size%37 {
		sent := q.Send(math.MaxInt, text[:size], NoWait)
		n, mtype, err := q.Receive(buf, 0, NoWait)
		if sent != nil || err != nil || mtype != math.MaxInt || !bytes.Equal(buf[:n], text[:size]) {
			t.Fatalf("%d bytes came as %d, of type %d, %v, %v", size, n, mtype, sent, err)
		}
	}
}

func TestErrors(t *testing.T) {
	q, removed := newQueue(t), newQueue(t)
	l, err := SystemLimits()
	if err = errors.Join(err, removed.Remove(), q.Send(1, []byte("four"), NoWait)); err != nil {
		t.Fatal(err)
	}
	_, _, none := q.Receive(nil, 9, NoWait)
	_, _, long := q.Receive(make([]byte, 3), 0, NoWait)
	_, atThePlace := ByID(q.id ^ 1<<30).Status() // the lower bits are a place, which another queue may have
	key := Key(rand.Int32())
	_, unused := Get(key, 0, 0)
	for _, c := range []struct {
		err   error
		errno unix.Errno
		gone  bool
		text  string
	}{
		{none, unix.ENOMSG, false, fmt.Sprintf("queue %d: msgrcv: no such message is in the queue", q.id)},
		{long, unix.E2BIG, false, fmt.Sprintf("queue %d: msgrcv: the message is longer than the buffer", q.id)},
		{q.Send(-5, nil, 0), unix.EINVAL, false,
			fmt.Sprintf("queue %d: msgsnd: type -5: the type of a message must be positive", q.id)},
		{q.Send(1, make([]byte, l.MsgMax+1), 0), unix.EINVAL, false,
			fmt.Sprintf("queue %d: msgsnd: a message of %d bytes, the system allows %d (msgmax)", q.id, l.MsgMax+1, l.MsgMax)},
		{removed.Send(1, nil, 0), unix.EINVAL, true, fmt.Sprintf("queue %d: msgsnd: no such queue", removed.id)},
		{removed.Set(Status{}), unix.EINVAL, true, fmt.Sprintf("queue %d: msgctl IPC_SET: no such queue", removed.id)},
		{removed.Remove(), unix.EINVAL, true, fmt.Sprintf("queue %d: msgctl IPC_RMID: no such queue", removed.id)},
		{atThePlace, unix.EINVAL, true, fmt.Sprintf("queue %d: msgctl MSG_STAT_ANY: no such queue", q.id^1<<30)},
		{unused, unix.ENOENT, true, fmt.Sprintf("queue with key %v: msgget: no such queue", key)},
	} {
		if !errors.Is(c.err, c.errno) || errors.Is(c.err, os.ErrNotExist) != c.gone || c.err.Error() != c.text {
			t.Errorf("%v; want %q", c.err, c.text)
		}
	}
}
