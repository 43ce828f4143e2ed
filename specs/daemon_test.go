package specs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/facts"
	"daemonlab/specs/finding"
	"daemonlab/specs/harness"
	"daemonlab/specs/rubric"
)

// startedHostile is what most specs of the daemon's state have done. The guide says what makes the setting hostile.
var startedHostile = say("started it in the hostile setting")

func (r row) status(s *harness.Server) procfs.Status {
	st, err := s.Process.Status()
	r.goesOn(err, s, say("read %v", s.Process.Path("status")))
	return st
}

func (r row) stat(s *harness.Server) procfs.Stat {
	st, err := s.Process.Stat()
	r.goesOn(err, s, say("read %v", s.Process.Path("stat")))
	return st
}

var _ = Row("fds", func(r row) {
	It("has none of the starter's files open", func(ctx SpecContext) {
		r.mustHaveInheritedNothing(ctx, r.start(ctx), startedHostile)
	})
	It("has none open above a limit that was lowered since", func(ctx SpecContext) {
		setting, at := harness.BeyondLimit()
		r.mustHaveInheritedNothing(ctx, r.startAt(ctx, place(), setting),
			say("started it with files open at descriptors 300, 1023 and %d, and RLIMIT_NOFILE lowered to 256", at))
	})
})

func (r row) mustHaveInheritedNothing(ctx context.Context, s *harness.Server, did rubric.Text) {
	var inherited []string
	none := eventually(ctx, func() bool { // it may have needed a copy of stderr until it was ready
		inherited = r.open(s, func(fd procfs.Descriptor) bool {
			return facts.Inherited([]procfs.Descriptor{fd}, s.Start.Files) != nil
		})
		return inherited == nil
	})
	r.must(none, did, say("no file that was open at the start is open in the daemon, on any descriptor"),
		say("%v", strings.Join(inherited, "\n")))
}

var _ = Row("signals", func(r row) {
	It("ignores no signal that the starter ignored", func(ctx SpecContext) {
		s := r.start(ctx)
		r.must(facts.Ignored(r.status(s)) == 0,
			startedHostile, say("SigIgn is 0; only SIGPIPE may be ignored, if the daemon chooses to"),
			say("%s: SigIgn: %v", s.Process.Path("status"), r.status(s).SigIgn))
	})
})

var _ = Row("sigmask", func(r row) {
	It("blocks no signal in its main thread", func(ctx SpecContext) {
		s := r.start(ctx)
		// For an instant libc blocks all signals in a thread that starts another one.
		none := eventually(ctx, func() bool { return r.status(s).SigBlk == 0 })
		r.must(none, startedHostile, say("SigBlk of the main thread is 0"),
			say("%s: SigBlk: %v", s.Process.Path("status"), r.status(s).SigBlk))
	})
})

var _ = Row("env", func(r row) {
	It("sees only variables that a daemon needs", func(ctx SpecContext) {
		s := r.start(ctx)
		env, err := s.Process.LiveEnviron()
		r.goesOn(err, s, say("read %v", s.Process.Path("environ")))
		if !env.Live {
			notJudged(say("the program is static and stripped, so its environment cannot be located, and %s shows "+
				"only what it was started with: build it without -s, or link it dynamically", env.Source))
		}
		var junk []string
		for _, variable := range facts.Junk(env.Vars) {
			junk = append(junk, fmt.Sprintf("%.60q", variable))
		}
		r.must(junk == nil,
			startedHostile, say("getenv(3) finds only PATH, HOME, USER, LOGNAME, SHELL, LANG, LC_* and TZ"),
			say("%s: %s", env.Source, strings.Join(junk, ", ")))
	})
})

var _ = Row("session", func(r row) {
	It("is in a session of its own, which has no terminal and whose leader has gone", func(ctx SpecContext) {
		s := r.start(ctx)
		st := r.stat(s)
		r.must(facts.OwnSession(st, s.Start.Session),
			startedHostile, say("a session of its own: setsid(2) was called"),
			say("%s: session %d, which is the starter's", s.Process.Path("stat"), st.Session))
		r.must(facts.NoTerminal(st), startedHostile, say("tty_nr is 0"),
			say("%s: tty_nr %v", s.Process.Path("stat"), st.TTY))
		r.must(!st.SessionLeader(),
			startedHostile, say("the daemon is not the session leader, which could acquire a terminal by opening one"),
			say("%s: pid %d, session %d", s.Process.Path("stat"), st.Pid, st.Session),
			say("the second fork is missing, or setsid(2) is called after it"))
		leader := procfs.New("/proc").Process(st.Session)
		ended := eventually(ctx, func() bool { return must(leader.Ended()) })
		r.must(ended, startedHostile, say("the session leader has exited"),
			say("PID %d, the leader of session %d, is still running", leader.PID(), st.Session))
	})
})

var _ = Row("orphan", func(r row) {
	It("was adopted by whoever adopts orphans here, and is all that is left of its start", func(ctx SpecContext) {
		s := r.start(ctx)
		// An original that does not wait for the middle process may return while that is still about to end.
		adopted := eventually(ctx, func() bool { return r.stat(s).PPid == os.Getpid() })
		r.must(adopted, say("started it below a subreaper, PID %v", os.Getpid()),
			say("PPid is the subreaper's PID"), say("%s: PPid: %d", s.Process.Path("status"), r.stat(s).PPid),
			say("the middle process, between the original and the daemon, has not exited"))
		var others []string
		alone := eventually(ctx, func() bool {
			others = nil
			for _, p := range must(harness.Adopted()) {
				if p.Pid != s.PID {
					others = append(others, fmt.Sprintf("PID %d (%s), PPid %d, state %v", p.Pid, p.Comm, p.PPid, p.State))
				}
			}
			return others == nil
		})
		r.must(alone, say("started it and looked for other processes of the start"),
			say("only the daemon is left"), say("%v", strings.Join(others, "\n")))
	})
})

var _ = Row("stdio", func(r row) {
	It("has /dev/null at 0, 1 and 2", func(ctx SpecContext) {
		s := r.start(ctx)
		for n := range facts.Stdio {
			fd, err := s.Process.Descriptor(n)
			if errors.Is(err, os.ErrPermission) {
				r.goesOn(err, s, say("read %v", s.Process.Path("fd")))
			}
			saw := say("%s/%v", s.Process.Path("fd"), fd)
			if err != nil {
				saw = say("%v", err.Error())
			}
			r.must(err == nil && facts.Null(fd), startedHostile, say("descriptor %d is /dev/null", n), saw)
		}
	})
	// Where 0, 1 and 2 lead between telling the original and dup2(2) can be seen only by luck.
	It("says nothing to its starter", func(ctx SpecContext) {
		output := must(harness.NewOutput())
		DeferCleanup(output.Close)
		s := r.startAt(ctx, place(), harness.Setting{Output: output})
		Expect(s.WriteFile("still", nil)).To(Succeed())
		client(harness.Small).Fetch(ctx, s.Queue, "still")
		said := output.By(s.PID)
		r.must(said == "", say("started it and asked for a file"),
			say("the daemon writes nothing to the stdout and stderr of the start"),
			say("PID %d, the daemon, wrote %.300q", s.PID, said),
			say("a leftover printf runs before dup2(2); a daemon writes to its log"))
	})
})

var _ = Row("umask", func(r row) {
	It("has umask 0", func(ctx SpecContext) {
		s := r.start(ctx)
		r.must(facts.OpenMask(r.status(s)), startedHostile, say("Umask: 0000"),
			say("%s: Umask: %04o", s.Process.Path("status"), r.status(s).Umask))
	})
})

var _ = Row("cwd", func(r row) {
	It("works in /", func(ctx SpecContext) {
		s := r.start(ctx)
		cwd, err := s.Process.Cwd()
		r.goesOn(err, s, say("read %v", s.Process.Path("cwd")))
		r.must(facts.AtRoot(cwd), startedHostile, say("the working directory is /"),
			say("%s -> %s", s.Process.Path("cwd"), cwd))
	})
	It("takes relative names from where the command was typed", func(ctx SpecContext) {
		absolute := r.start(ctx) // what fails with absolute names, too, is another row's
		for _, typed := range []struct {
			in    func(p harness.Place) string
			flags []string
		}{
			{func(p harness.Place) string { return p.Dir },
				[]string{"--root", "root", "--pidfile", "run/mqfiled.pid", "--log", "./log/mqfiled.log"}},
			{func(p harness.Place) string { return p.Root }, // the default of --root
				[]string{"--pidfile", "../run/mqfiled.pid", "--log", "../log/mqfiled.log"}},
		} {
			p := place()
			Expect(p.WriteFile("still", []byte("in the root"))).To(Succeed())
			setting := harness.Hostile()
			setting.Cwd = typed.in(p)
			s := r.startBy(ctx, p, setting, append([]string{"--queue", p.Queue}, typed.flags...)...)
			did := say("started mqfiled %s in %s", finding.Args(s.Start.Args), setting.Cwd)
			r.must((exists(p.PIDFile) || !exists(absolute.PIDFile)) && (exists(p.Log) || !exists(absolute.Log)),
				did, say("the PID file and the log are where these names lead from that directory"),
				say("%s exists: %v; %s: %v", p.PIDFile, exists(p.PIDFile), p.Log, exists(p.Log)))
			if harness.QueueExists(p.Queue) { // before step 9 there is none
				e := r.fetch(ctx, client(harness.Small), s, "still")
				r.can(ctx, string(e.Content) == "in the root",
					say("%v, and asked for a file in that root", did), say("its content"), e.Summary())
			}
			r.must(r.reopens(ctx, s) || !s.Alive() || !r.reopens(ctx, absolute),
				say("%v, renamed the log and sent SIGHUP", did), say("a new log where the name led at the start"),
				say("no %v", s.Log),
				say("the name is resolved only when the log is reopened, from the working directory /"))
			r.must(!s.Alive() || !leavesPIDFile(ctx, s) || leavesPIDFile(ctx, absolute), say("%v, and sent SIGTERM", did),
				say("the PID file is removed, or emptied where the account may not remove it"),
				say("%s holds %d", s.PIDFile, s.PID),
				say("the name is resolved only when the file is removed, from the working directory /"))
		}
	})
	It("keeps no file system busy", func(ctx SpecContext) {
		if os.Geteuid() != 0 {
			skip(say("only root may mount the file system that this would unmount"))
		}
		p := place()
		volume := filepath.Join(p.Dir, "volume")
		Expect(os.Mkdir(volume, 0o755)).To(Succeed())
		err := unix.Mount("specs", volume, "tmpfs", 0, "")
		if errors.Is(err, unix.EPERM) {
			skip(say("this root may not mount the file system that this would unmount: it lacks CAP_SYS_ADMIN"))
		}
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { unix.Unmount(volume, unix.MNT_DETACH) })
		setting := harness.Hostile()
		setting.Cwd = volume
		s := r.startAt(ctx, p, setting)
		unmounted := eventually(ctx, func() bool { // the middle process may not have ended yet
			err = unix.Unmount(volume, 0)
			return err == nil
		})
		cwd, _ := s.Process.Cwd()
		r.must(unmounted, say("started it from %v, a tmpfs, and unmounted the tmpfs", volume),
			say("it can be unmounted"), say("umount: %v; %s -> %s", err, s.Process.Path("cwd"), cwd))
	})
})

// leavesPIDFile reports whether a PID is in the PID file when SIGTERM has ended the daemon.
func leavesPIDFile(ctx context.Context, s *harness.Server) bool {
	s.Signal(unix.SIGTERM)
	_, running := waitForEnd(ctx, s, 2*time.Second+harness.Slack)
	content, err := os.ReadFile(s.PIDFile)
	return running == nil && err == nil && len(content) > 0
}

// reopens reports whether SIGHUP makes a log that was renamed anew.
func (r row) reopens(ctx context.Context, s *harness.Server) bool {
	return os.Rename(s.Log, s.Log+".1") == nil && s.Signal(unix.SIGHUP) == nil &&
		eventually(ctx, func() bool { return exists(s.Log) || !s.Alive() }) && exists(s.Log)
}

var _ = Row("privileges", func(r row) {
	It("is the account and keeps nothing of root's, in every thread", func(ctx SpecContext) {
		if os.Geteuid() != 0 {
			skip(say("only root has privileges to give up"))
		}
		r.mustBecome(ctx, "nobody")
		r.clear()
		r.mustBecome(ctx, "daemon", "--user", "daemon")
	})
	It("stays the user that started it, if that was not root", func(ctx SpecContext) {
		if os.Geteuid() == 0 {
			skip(say("the suite runs as root; run it as an ordinary user for this"))
		}
		s := r.start(ctx)
		for _, t := range r.threads(s) {
			r.must(t.Uid.All(os.Getuid()) && t.Gid.All(os.Getgid()), say("started it as user %d", os.Getuid()),
				say("UIDs and GIDs are unchanged"), say("thread %d: Uid: %v, Gid: %v", t.Pid, t.Uid, t.Gid))
		}
	})
})

func (r row) mustBecome(ctx context.Context, account string, flags ...string) {
	uid, gid, err := harness.Account(account)
	if err != nil {
		notJudged(say("%v", err))
	}
	setting := harness.Hostile()
	did, cause := say("started mqfiled %v as root, with supplementary groups", finding.Args(flags)), rubric.Text{}
	if harness.MaySetSecurebits() {
		setting.Orders = []string{"--no-setuid-fixup"}
		did = say("%v and with the securebit no-setuid-fixup, under which setresuid(2) leaves capabilities unchanged",
			did)
		cause = say("capset(2) is not called: giving up root's user ID drops the capabilities only where no " +
			"securebit keeps them, see capabilities(7)")
	}
	s := r.startAt(ctx, place(), setting, flags...)
	for _, t := range r.threads(s) {
		ids := facts.Is(t, uid, gid)
		if !ids {
			cause = rubric.Text{}
		}
		r.must(ids && facts.Powerless(t), did,
			say("all UIDs are %d and all GIDs %d (%s), no groups, CapPrm and CapEff 0", uid, gid, account),
			say("%s of thread %d:\nUid: %v\nGid: %v\nGroups: %v\nCapPrm: %v\nCapEff: %v", s.Process.Path("task"), t.Pid,
				t.Uid, t.Gid, t.Groups, t.CapPrm, t.CapEff), cause)
	}
}

func (r row) threads(s *harness.Server) []procfs.Status {
	tasks, err := s.Process.Tasks()
	r.goesOn(err, s, say("read %v", s.Process.Path("task")))
	return tasks
}
