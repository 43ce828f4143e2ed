//lab:give

// Package daemon turns a Go program into a System V daemon, step by step as daemon(7) and the lab count them.
//
//	step                                   function            file              where it runs
//	1  close inherited descriptors         closeDescriptors    descriptors.go    original
//	2  reset signal dispositions           resetDispositions   signals.go        original
//	3  reset the signal mask               resetMask           signals.go        original
//	4  clean the environment               cleanEnvironment    environment.go    original
//	5  fork, setsid, fork again            fork                fork.go           original
//	                                       middle              middle.go         middle
//	6  the middle process exits            middle              middle.go         middle
//	7  stdin, stdout, stderr to /dev/null  connectStdio        attributes.go     daemon
//	   umask 0                             resetUmask          attributes.go     daemon
//	   working directory /                 changeDirectory     attributes.go     daemon
//	   locked PID file                     LockPIDFile         pidfile.go        daemon
//	   give up privileges                  Account.Become      privileges.go     daemon
//	   tell the original                   Daemon.Ready        readiness.go      daemon
//	8  the original exits                  Start returns       start.go          original
//
// A Go process cannot continue after a fork: the child has only the calling thread, without the others that the
// runtime's scheduler, collector and timers rely on. It may make system calls and execute a program, no more. That is
// enough for the middle process, which forks as in C. The daemon executes /proc/self/exe, the same program again.
// [Continue] tells it from the original and must be the first thing main does; [Start] is called by the original alone.
//
// The exec has advantages. It resets caught signals and closes descriptors marked close-on-exec, some of which a
// running Go runtime needs (its poller and its cgroup files); and it replaces the environment that /proc/PID/environ
// shows, which a program that only forks cannot do.
//
// Linux 5.11 or newer is needed (close_range(2) with CLOSE_RANGE_CLOEXEC), and the /proc of the process's own PID
// namespace, in which it must not be PID 1. With an RLIMIT_AS below about 700 MB, an RLIMIT_DATA below about 50 MB or
// an RLIMIT_NPROC below 5 Go's runtime gives up before main, with a stack on stderr; what fails later is an error of
// [Start], in one line.
//
// # What is inherited
//
// What no step changes is the starter's. How a daemon is scheduled and what it may use is up to the starter, through
// nice(1), prlimit(1) or a unit file:
//
//	nice value, policy, affinity, I/O priority   inherited, as are timer slack and NUMA policy
//	resource limits, cgroup, namespaces, root    inherited; Go raises the soft RLIMIT_NOFILE to almost the hard one
//	oom_score_adj, coredump_filter, personality  inherited
//	seccomp, no_new_privs, bounding set          inherited, as are securebits (not keep-caps) and audit's login UID
//	inheritable and ambient capabilities         inherited; root's daemon loses them in Account.Become
//	session keyring                              inherited; root's daemon gets one of its own (leaveSessionKeyring)
//	dumpable                                     set by the exec, cleared when Account.Become changes the user
//	parent-death signal, child subreaper         end with the fork, as do timers, memory locks and pending signals
package daemon
