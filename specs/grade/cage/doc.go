// Package cage runs untrusted commands, and the judge beside them, in namespaces of their own.
//
// # What a cage is
//
// A job's processes are in user, PID, IPC, mount, network, UTS and cgroup namespaces that nobody else is in. Their file
// system is a tree of its own (tree.go): the machine's programs and libraries read-only, four accounts, six devices,
// private /tmp, /run and message queues, all of it memory of limited size, and the submission. There is no network.
// When the first process ends the kernel ends all others, whatever sessions they are in, and with the last of them go
// queues, mounts and files. The first process ends with its command, when the grader ends it, or when the grader dies:
// it holds the reading end of a pipe that only the grader can write to.
//
// When root grades, users 0 to 65535 of a cage map to as many unused IDs outside, a range of its own for each cage.
// Root in a cage is thus an account without rights outside, and the specs that drop privileges work. The thread that
// clones a cage runs as that account, too, because the kernel charges message queues also to the creator of the user
// namespace. Root in a container has only one range, which all cages share. When an ordinary user grades, that user is
// the only one in the cage, and has no capabilities.
//
// # Why results can be trusted
//
// The specs start the submission's programs, adopt their orphans and look at them in /proc, so they are in the same PID
// namespace and, to give privileges that can be dropped, in the same user namespace. What keeps them apart is one
// capability: the judge and the specs have CAP_SYS_PTRACE, and the launcher takes it, with most others, from all that it
// starts (launch --confine). A process may trace another, and open its /proc/PID/mem, fd, exe and root, only if it has all
// the capabilities of that other or CAP_SYS_PTRACE over it (ptrace(2), "Ptrace access mode checking"). no_new_privs is
// set, no mount takes set-user-ID bits, and a user namespace of the program's own, if it could make one, would give it no
// capability over this one. Hence
//
//   - the specs, the judge and the launcher are in no file system of the cage: they are executed by descriptors of the
//     first process, /proc/1/fd/N, which only the judge's processes can follow;
//   - results travel by the judge's stdout, a pipe that no other process has, and to the judge in a file without a name;
//   - without CAP_SYS_ADMIN the program can change no mount, and what the specs rely on is mounted read-only, /proc/sys
//     with it;
//   - where the kernel requires no more than the same user, a seccomp filter refuses the call (prlimit(2)), or the
//     suite notices: if it, or what it measures the machine with, has been stopped, its exit status makes the row fail.
//
// The rubric, the other submissions and the results are not in the cage, nor is the grader's Go build cache, with the
// compiled reference. A row that the judge could not finish does not make the total smaller: it is judged once more by
// itself, and if that fails too, the grader reports its own failure instead of a grade.
//
// # What was tried
//
// Each was tried by a Makefile, a server and a client, as root's submission and as an ordinary user's. The second
// column says what it got at the first try, the third which test shows what it gets now.
//
//	attack                                              got                             test
//	/proc/PID/{exe,mem,environ,fd,root,cwd,maps}, also
//	  as another user of the cage, pidfd_getfd, vm_readv  nothing                       sample reads-specs
//	ptrace, writing to fd and mem of the judge          nothing                         sample writes-results
//	the rubric and the reference in Go's cache          both, compiled                  sample reads-specs
//	command lines, SPECS_* in the environment           the row that is judged          sample reads-specs
//	fs.mqueue, kernel.{msgmax,sem,pid_max} in /proc/sys rows skipped, not failed        sample writes-results, TestWithin
//	other settings, core_pattern, sysrq, /sys           nothing                         TestWithin
//	prlimit of the judge and the first process          whatever limit it liked         sample writes-results, TestWithin
//	setpriority, scheduler, affinity, ioprio            nothing                         as ptrace: CAP_SYS_PTRACE is more
//	SIGSTOP and SIGCONT to the suite or its measure     time without end                sample signals-judge, specs/harness
//	other signals                                       failed rows                     samples kills-, interrupts-, stops-grader
//	the session keyring                                 the grader's keys               TestKeys
//	namespaces, mounts                                  nothing                         TestWithin
//	loopback, abstract sockets, System V IPC, TIOCSTI   only the cage's own             TestWithin
//	links, directories and FIFOs as bin/mqfiled         "the grader failed"             sample links-out
//	files changed after building, what outlives it      nothing                         TestFixed, TestNothingIsLeft
//	Go's cache, modules and toolchain                   a layer that ends with the cage TestSample
//	processes, threads, inodes, queues, memory, output  failed rows, fewer to be had    samples fork-bomb, disk-filler, ...
//
// # What remains possible
//
// A program can send signals to the specs and to the judge, as they are the same user. The first process cannot be
// killed from inside. A judge that was killed, stopped or interrupted has not judged: its rows fail. A program can tell
// by how it is started that it is judged, and often for which row. It can make the machine seem slow by using all
// processors, and so get more time, as every program does on a slow machine. It can use up the cage's memory, processes
// and files until its other rows fail. Memory is limited as a whole only where control groups can be made, which takes
// root and cgroup v1 or v2; otherwise per process, and by the kernel's OOM killer. The kernel is shared: a bug in it
// can break any namespace.
package cage
