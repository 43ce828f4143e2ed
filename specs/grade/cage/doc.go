// Package cage runs untrusted commands, and the judge beside them, in namespaces of their own.
//
// # What a cage is
//
// A job's processes are in user, PID, IPC, mount, network, UTS and cgroup namespaces that nobody else is in. Their file
// system is built for them (tree.go): the machine's programs and libraries read-only, four accounts, six devices,
// private /tmp, /run and message queues, all of it in memory and limited in size, and the submission. There is no
// network. When the first process ends the kernel kills all others, whatever sessions they are in, and with the last of
// them queues, mounts and files disappear. The first process ends with its command, when the grader ends it, or when
// the grader dies: it holds the read end of a pipe that only the grader can write to.
//
// When root grades, users 0 to 65535 of a cage map to as many unused IDs outside, a different range for each cage. So
// root in a cage is an account without rights outside, and the specs that drop privileges work. The thread that clones
// a cage also runs as that account, because the kernel charges message queues to the creator of the user namespace too.
// Root in a container has only one range, which all cages share. When an ordinary user grades, that user is the only
// one in the cage, and has no capabilities.
//
// # Why results can be trusted
//
// The specs start the submission's programs, adopt their orphans and read them in /proc, so they are in the same PID
// namespace and, because they give privileges to be dropped, in the same user namespace. One capability separates them:
// the judge and the specs have CAP_SYS_PTRACE, and the launcher takes it, with most others, from everything it starts
// (launch --confine). A process may trace another, and open its /proc/PID/mem, fd, exe and root, only if it has all of
// its capabilities or CAP_SYS_PTRACE over it (ptrace(2), "Ptrace access mode checking"). no_new_privs is set, no mount
// honours set-user-ID bits, and a user namespace of the program's own, if it could make one, would give it no
// capability over this one. Hence
//
//   - the specs, the judge and the launcher are in no file system of the cage: they are executed through descriptors of
//     the first process, /proc/1/fd/N, which only the judge's processes can follow;
//   - results travel through the judge's stdout, a pipe that no other process has, and reach the judge in a file without
//     a name;
//   - without CAP_SYS_ADMIN the program can change no mount, and what the specs rely on is mounted read-only, including
//     /proc/sys;
//   - where the kernel only requires the same user, a seccomp filter refuses the call (prlimit(2)), or the suite
//     notices: if it, or the process it measures the machine with, has been stopped, its exit status fails the row.
//
// The rubric, the other submissions and the results are not in the cage, nor is the grader's Go build cache, which
// holds the compiled reference. A row that the judge could not finish does not make the total smaller: it is judged
// once more by itself, and if that fails too, the grader reports its own failure instead of a grade.
//
// # What was tried
//
// Each attack was tried from a Makefile, a server and a client, as root's submission and as an ordinary user's. The
// second column is what it got at first, the third the test that shows what it gets now.
//
//	attack                                              got                             test
//	/proc/PID/{exe,mem,environ,fd,root,cwd,maps}, also
//	  as another user of the cage, pidfd_getfd, vm_readv  nothing                       sample reads-specs
//	ptrace, writing to fd and mem of the judge          nothing                         sample writes-results
//	the rubric and the reference in Go's cache          both, compiled                  sample reads-specs
//	command lines, SPECS_* in the environment           the row being judged            sample reads-specs
//	fs.mqueue, kernel.{msgmax,sem,pid_max} in /proc/sys rows skipped, not failed        sample writes-results, TestWithin
//	other settings, core_pattern, sysrq, /sys           nothing                         TestWithin
//	a crash, where core_pattern names a program         that program, outside           TestWithin, "no core dumps"
//	prlimit of the judge and the first process          any limit it liked              sample writes-results, TestWithin
//	setpriority, scheduler, affinity, ioprio            nothing                         as ptrace: CAP_SYS_PTRACE is more
//	SIGSTOP and SIGCONT to the suite or its measure     unlimited time                  sample signals-judge, specs/harness
//	other signals                                       failed rows                     samples kills-, interrupts-, stops-grader
//	the session keyring                                 the grader's keys               TestKeys
//	namespaces, mounts                                  nothing                         TestWithin
//	loopback, abstract sockets, System V IPC, TIOCSTI   only the cage's own             TestWithin
//	links, directories and FIFOs as bin/mqfiled         "the grader failed"             sample links-out
//	files changed after the build, surviving processes  nothing                         TestFixed, TestNothingIsLeft
//	Go's cache, modules and toolchain                   a layer that ends with the cage TestSample
//	processes, threads, inodes, queues, memory, output  failed rows, reduced limits     samples fork-bomb, disk-filler, ...
//
// # What remains possible
//
// A program can send signals to the specs and to the judge, which run as the same user. The first process cannot be
// killed from inside. A judge that was killed, stopped or interrupted has not judged: its rows fail. A program can tell
// from how it is started that it is being judged, and often for which row. It can make the machine seem slow by using
// all processors, and so get more time, as every program does on a slow machine. It can use up the cage's memory,
// processes and files until its other rows fail. It can lower its limits, that of core files too, so that a crash starts
// the program that the machine's core_pattern names. Memory is limited as a whole only where control groups can be made,
// which takes root and cgroup v1 or v2; elsewhere it is limited per process, and by the kernel's OOM killer. The kernel
// is shared: a bug in it can break any namespace.
package cage
