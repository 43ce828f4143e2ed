package daemon

import "syscall"

//lab:begin session orphan

// From fork to exec a child may only make system calls, in functions that need no more stack (nosplit): of the
// original's threads it has only the one that forked, and Go's scheduler and collector rely on the others.
// [syscall.ForkExec] forks in the same way.

// forkMiddle forks the middle process, and returns only in the original.
//
//go:norace
//go:nosplit
func forkMiddle(p *program) (pid int, errno syscall.Errno) {
	pid, errno = rawFork()
	if errno == 0 && pid == 0 {
		middle(p)
	}
	return pid, errno
}

// middle is the life of the middle process. It becomes the leader of a new session, without a controlling terminal. The
// daemon it forks is no leader, so a terminal that the daemon opens cannot become its controlling terminal. Then it
// exits (step 6), so the daemon is adopted by init or the nearest subreaper, and its session has no leader.
//
//go:norace
//go:nosplit
func middle(p *program) {
	if errno := setsid(); errno != 0 {
		giveUp(p, stepSetsid, errno)
	}
	pid, errno := rawFork()
	if errno != 0 {
		giveUp(p, stepFork, errno)
	}
	if pid == 0 {
		becomeDaemon(p)
	}
	exit(0)
}

// becomeDaemon executes the program again, with only what it is to have from the starter. The pipe is also its stderr:
// a runtime that cannot start, for lack of threads or memory, says so there before any code of this package runs.
//
//go:norace
//go:nosplit
func becomeDaemon(p *program) {
	errno := putAt(p.config, configFD)
	if errno == 0 {
		errno = putAt(p.pipe, pipeFD)
	}
	if errno == 0 {
		errno = putAt(p.pipe, 2)
	}
	if errno == 0 {
		errno = execute(p)
	}
	giveUp(p, stepExec, errno)
}

// giveUp tells the original which step has failed, and ends the process.
//
//go:norace
//go:nosplit
func giveUp(p *program, step int, errno syscall.Errno) {
	p.failure[failedStep] += byte(step)
	for i, n := failedErrno, errno; n > 0; i, n = i-1, n/10 {
		p.failure[i] += byte(n % 10)
	}
	tell(p)
	exit(1)
}

//lab:end
