//lab:give

// Package daemon makes a System V daemon of a Go program, step by step as daemon(7) and the lab count them.
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
// A Go process cannot live on after a fork: the child has only the thread that called, without the others that the
// runtime's scheduler, collector and timers stand on. It may make system calls and execute a program, no more. That is
// enough for the middle process, which forks as in C. The daemon executes /proc/self/exe, the same program again.
// [Continue] tells it from the original and must be the first thing main does; [Start] is called by the original alone.
//
// The exec has its good sides. It is what resets caught signals and closes descriptors marked close-on-exec, which a
// living Go runtime could not bear to lose (its poller and its cgroup files are among them); and it replaces the
// environment that /proc/PID/environ shows, which no program can do that forks only.
//
// Linux 5.11 or newer is needed (close_range(2) with CLOSE_RANGE_CLOEXEC), and /proc.
package daemon
