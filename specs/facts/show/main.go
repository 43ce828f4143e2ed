// Command show prints what the lab asks of a daemon beside the line of /proc that proves it, for scripts/demo. It fails
// at the first that does not hold.
//
//	show PID QUEUE PIDFILE FILE SESSION: FILE is one that the starter had open, SESSION the starter's
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/facts"
	"daemonlab/specs/harness"
)

func main() {
	if err := show(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "show:", err)
		os.Exit(1)
	}
}

func show(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	queue, pidFile, planted, session := args[1], args[2], args[3], args[4]
	f, err := facts.Of(pid)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(planted, &st); err != nil {
		return err
	}
	file, err := facts.ReadPIDFile(pidFile)
	if err != nil {
		return err
	}
	registered, _, err := harness.QueueStatus(queue)
	if err != nil {
		return err
	}
	uid, gid := os.Getuid(), os.Getgid()
	groups := f.Status.Groups
	if uid == 0 {
		if uid, gid, err = harness.Account("nobody"); err != nil {
			return err
		}
		groups = nil
	}
	starters, _ := strconv.Atoi(session)
	inherited := facts.Inherited(f.Descriptors, []procfs.FileID{{Dev: st.Dev, Ino: st.Ino}})
	_, leader := os.Stat("/proc/" + strconv.Itoa(f.Stat.Session))
	parent, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", f.Stat.PPid))
	stdio := f.Descriptors[:facts.Stdio]
	return prove([]proof{
		{"1", "nothing inherited is open above 2", len(inherited) == 0, fmt.Sprintf("/proc/%d/fd: %d descriptors, not %s, which the starter had open", pid, len(f.Descriptors), planted)},
		{"2", "no signal is ignored", facts.Ignored(f.Status) == 0, fmt.Sprintf("SigIgn: %016x", uint64(f.Status.SigIgn))},
		{"3", "no signal is blocked", f.Status.SigBlk == 0, fmt.Sprintf("SigBlk: %016x", uint64(f.Status.SigBlk))},
		{"4", "the starter's variables are gone", len(facts.Junk(f.Env.Vars)) == 0, "environ: only " + names(f.Env.Vars)},
		{"5", "own session, not its leader, no terminal", facts.OwnSession(f.Stat, starters) && !f.Stat.SessionLeader() && facts.NoTerminal(f.Stat),
			fmt.Sprintf("stat: pid %d, session %d, tty_nr %d", pid, f.Stat.Session, f.Stat.TTY)},
		{"5", "the session leader has exited", leader != nil, fmt.Sprint(leader)},
		{"6", "adopted when the middle process exited", f.Stat.PPid != os.Getppid(), fmt.Sprintf("PPid: %d (%s)", f.Stat.PPid, strings.TrimSpace(string(parent)))},
		{"7", "descriptors 0, 1 and 2 are /dev/null", !slices.ContainsFunc(stdio, func(d procfs.Descriptor) bool { return !facts.Null(d) }),
			fmt.Sprintf("/proc/%d/fd/0 -> %s", pid, stdio[0].Target)},
		{"7", "umask 0", facts.OpenMask(f.Status), fmt.Sprintf("Umask: %04o", f.Status.Umask)},
		{"7", "working directory /", facts.AtRoot(f.Cwd), fmt.Sprintf("/proc/%d/cwd -> %s", pid, f.Cwd)},
		{"7", "PID file, mode 0644, locked", file.Names(pid) && file.Mode == facts.PIDFileMode && file.Locked,
			fmt.Sprintf("%s: %q, mode %04o", pidFile, file.Content, file.Mode)},
		{"7", "privileges given up, in every thread", !slices.ContainsFunc(f.Tasks, func(t procfs.Status) bool {
			return !t.Uid.All(uid) || !t.Gid.All(gid) || !slices.Equal(t.Groups, groups) || !facts.Powerless(t)
		}), fmt.Sprintf("Uid: %d, Groups: %v, CapPrm: %016x", [4]int(f.Status.Uid), f.Status.Groups, uint64(f.Status.CapPrm))},
		{"7,8", "the original returned 0 when ready", true, "exit status of mqfiled: 0"},
		{"9", "SIGEV_THREAD registered", facts.Registered(registered, pid), fmt.Sprintf("%s: NOTIFY:%d NOTIFY_PID:%d", queue, registered.Notify, registered.NotifyPID)},
	})
}

// proof is a step of the lab, what it asks for, and the line that shows whether it holds.
type proof struct {
	step, what string
	holds      bool
	line       string
}

func prove(all []proof) error {
	for _, p := range all {
		fmt.Printf("  %-4s %-42s %s\n", p.step, p.what, p.line)
		if !p.holds {
			return fmt.Errorf("step %s does not hold: %s", p.step, p.what)
		}
	}
	return nil
}

// names are those of the variables.
func names(env []string) string {
	var all []string
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		all = append(all, name)
	}
	return strings.Join(all, " ")
}
