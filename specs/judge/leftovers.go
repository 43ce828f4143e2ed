package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
)

// A queue that nobody removes counts against its user's RLIMIT_MSGQUEUE until the next boot: programs that leave
// theirs would soon leave no room for correct ones.

// ownQueues are the namespaces of each row, so that its queues end with it; 0 where this user may not make any.
var ownQueues = sync.OnceValue(func() uintptr {
	const flags = unix.CLONE_NEWIPC | unix.CLONE_NEWNS
	probe := exec.Command("/proc/self/exe", "--help")
	probe.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flags}
	if probe.Run() != nil {
		return 0
	}
	return flags
})

// queues returns this user's queues, if mqueuefs is mounted.
func queues() map[string]bool {
	if !harness.HasMqueuefs() {
		return nil
	}
	found := map[string]bool{}
	entries, _ := os.ReadDir(harness.QueueDir)
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid == uint32(os.Geteuid()) {
			found[entry.Name()] = true
		}
	}
	return found
}

// removeLeft removes what the programs under test have left: queues that did not exist before and that no process has
// open.
func removeLeft(before map[string]bool) {
	left := queues()
	for name := range before {
		delete(left, name)
	}
	if len(left) == 0 {
		return
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		target, _ := os.Readlink(file)
		delete(left, strings.TrimPrefix(target, "/"))
	}
	for name := range left {
		os.Remove(filepath.Join(harness.QueueDir, name))
	}
}

// tellOfQueues tells the user of existing queues, which leave less room.
func tellOfQueues(lang string) {
	const most = 5
	if names := slices.Sorted(maps.Keys(queues())); len(names) > 0 {
		fmt.Fprintln(os.Stderr, finding.Say("message queues that this user already has, which count against "+
			"RLIMIT_MSGQUEUE: %d (%s). To remove leftovers: cd /dev/mqueue && rm NAME", len(names),
			strings.Join(names[:min(len(names), most)], " ")).In(lang))
	}
}

// keep copies the programs under test. One that removes its own file fails that row: restore puts the file back, for
// the next row and for its author.
func keep(dir string, programs ...string) (restore func() error, err error) {
	for _, path := range programs {
		if err := tool.CopyProgram(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		for _, path := range programs {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err := tool.CopyProgram(filepath.Join(dir, filepath.Base(path)), path); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
