package daemon

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
)

// Account is an entry of /etc/passwd.
type Account struct {
	Name     string
	UID, GID int
}

// LookupAccount finds an account by name in /etc/passwd, the only source that needs neither libc nor a network.
func LookupAccount(name string) (Account, error) {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return Account{}, err
	}
	for line := range strings.Lines(string(passwd)) {
		// name:password:UID:GID:comment:home:shell, see passwd(5)
		fields := strings.Split(line, ":")
		if len(fields) != 7 || fields[0] != name {
			continue
		}
		uid, uidErr := strconv.ParseUint(fields[2], 10, 32)
		gid, gidErr := strconv.ParseUint(fields[3], 10, 32)
		if uidErr == nil && gidErr == nil {
			return Account{Name: name, UID: int(uid), GID: int(gid)}, nil
		}
	}
	return Account{}, fmt.Errorf("user %q: no such account in /etc/passwd", name)
}

// Become drops root's privileges for good (step 7): no supplementary groups, the account's IDs as real, effective,
// saved and file system IDs, and no capabilities, in every thread. Groups come first: without UID 0 they could no
// longer be changed.
func (a Account) Become() error {
	//lab:begin privileges
	//lab:instead return nil
	if err := checkSignals(); err != nil {
		return err
	}
	// Not x/sys: its Setgroups is for the calling thread only. In a user namespace with one ID this fails with a bare
	// EPERM, and the next call says why.
	groupsErr := syscall.Setgroups(nil)
	if err := unix.Setresgid(a.GID, a.GID, a.GID); err != nil {
		return fmt.Errorf("become group %d of user %s: %w", a.GID, a.Name, explainID(err))
	}
	if groupsErr != nil {
		return fmt.Errorf("give up the supplementary groups: %w", groupsErr)
	}
	if err := unix.Setresuid(a.UID, a.UID, a.UID); err != nil {
		return fmt.Errorf("become user %s (%d): %w", a.Name, a.UID, explainID(err))
	}
	// With SECBIT_NO_SETUID_FIXUP, which survives exec, setresuid(2) leaves the capabilities in place.
	if err := dropCapabilities(); err != nil && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("give up the capabilities: %w", err)
	}
	return a.verify()
	//lab:end
}

//lab:begin

// checkSignals fails if RLIMIT_SIGPENDING may have no room for a signal to each thread, which Go uses to make a call in
// all of them: the runtime would wait for lost ones for ever.
func checkSignals() error {
	const enough = 64
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if limit.Cur < enough {
		return fmt.Errorf("RLIMIT_SIGPENDING (ulimit -i) is %d, %d are needed to become another user", limit.Cur, enough)
	}
	return nil
}

// explainID adds the meaning of EINVAL in setresuid(2) and setresgid(2).
func explainID(err error) error {
	if err == unix.EINVAL {
		return fmt.Errorf("no such ID in this user namespace: %w", err)
	}
	return err
}

// verify reads back from /proc what every thread has become. A thread that starts meanwhile inherits from one of them;
// one that was already ending is skipped by glibc and by Go's runtime, and keeps its old IDs for a moment.
func (a Account) verify() error {
	const endOfThread = 5 * time.Second
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		err := a.verifyThreads()
		if err == nil || time.Since(begin) > endOfThread {
			return err
		}
	}
}

func (a Account) verifyThreads() error {
	tasks, err := procfs.New("/proc").Process(os.Getpid()).Tasks()
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if !t.Uid.All(a.UID) || !t.Gid.All(a.GID) || len(t.Groups) > 0 || t.CapPrm != 0 || t.CapEff != 0 {
			return fmt.Errorf("thread %d has kept privileges: UIDs %v, GIDs %v, groups %v, capabilities %v", t.Pid,
				t.Uid, t.Gid, t.Groups, t.CapPrm|t.CapEff)
		}
	}
	return nil
}

// forbidNewPrivileges keeps the daemon from regaining privileges by executing a set-user-ID program. The attribute is
// per thread and inherited by its children; set before the fork, it covers all threads of the daemon. A process without
// root's privileges is left as it is.
func forbidNewPrivileges() error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return nil
}

//lab:end
