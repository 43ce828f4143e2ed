// Mqfiled is a file server over POSIX message queues. It starts as a System V daemon, or with --foreground as a new-style
// one.
//
// # The path of a request
//
//	server.go    notified, registered again, the queue drained
//	transfer.go  the file opened, INFO, DATA, END or FAILURE
//	reply.go     the client's queue: sending, waiting for room
//
// Around it: main.go and flags.go (the command line), start.go and stop.go (startup and shutdown), queue.go (the
// request queue), root.go (files, and nothing outside the root), watch.go (clients that die or stall), control.go
// (--status and --stop). The log is in daemonlab/lab/log.
//
// # Mechanisms beyond the contract
//
// A mechanism stays if it gains a tenth under some load, or keeps others from ending the service. The figures are
// requests or bytes per second with and without it, relative to lab/c: medians of three to ten rounds as an ordinary
// user, the programs taking turns at each load.
//
//	buffers.go    recycled buffers (sync.Pool)                 6 clients:  1.35, without 0.62
//	buffers.go    files read 64 KiB at a time                  8 x 256 MiB: 0.87, with 8 KiB 0.73
//	server.go     the notified goroutine itself answers,       6 clients:  1.35, without 0.75
//	reply.go        until it may have to wait (handOver)
//	server.go     it lingers for the next request              64 clients: 1.13, without 0.95
//	root.go       names without a slash are checked            6 clients:  1.70, without 1.45
//	                by fstatat(2)
//	limits.go     SCHED_BATCH, except with --foreground        1 x 256 MiB: 0.86, without 0.71
//	users.go      a limit on each user's transfers             two users that do not read leave a third room
//	queue.go      the request queue is checked and repaired    service outlives an unlink, a stolen registration
//
// # When things go wrong
//
// The server gives up as little as it can, frees everything the request held, and serves the next one. Its log says
// what happened.
//
//	a client dies                         noticed at once through its pidfd; its transfer ends
//	a client takes nothing                its transfer ends after --stall, with FAILURE if there is room
//	clients of one user do not read       they have half of the transfers that others leave free; more get FAILURE
//	too many transfers                    requests stay in the queue, clients block in mq_send(3)
//	garbage, or a reply queue that is     dropped: there is nobody to answer
//	  missing, is the request queue, or
//	  does not let everybody send
//	another server's as reply queue       that server drops the responses as garbage
//	two requests with one reply queue     both are answered, interleaved; the client is to blame
//	a reply queue's name is reused        the transfer continues in the queue it has open
//	a file shrinks, or the disk fails     FAILURE in mid-transfer
//	a file grows                          as much is sent as INFO announced
//	a file is unlinked, replaced, or      sent as it was opened
//	  becomes unreadable
//	a file under a lease                  waited for, up to --stall, in that client's own transfer
//	a client of another PID namespace     not watched, if the process of that number is another user's
//	a file of /proc                       FAILURE: it does not report its size
//	a disk that hangs                     a goroutine blocked on it is replaced within a second
//	openat2(2) is refused                 os.Root opens the files
//	the log's disk is full or hangs,      lines are lost, and counted in the next that gets through
//	  syslog or the reader of stderr is gone
//	a client floods the log               likewise, beyond 256 KiB a second; the server's own lines stay
//	the server crashes                    the log has the panic or the signal, and the stack
//	RLIMIT_NOFILE                         bounds --transfers, so that descriptors never run out
//	RLIMIT_MSGQUEUE                       a shallower request queue; none at all is a startup error
//	the request queue is unlinked         within a second its requests are taken and it is made again
//	the registration is taken, or was     within a second it is taken back, or a receiver blocks in the queue instead
//	  when the queue was left
//	SIGHUP                                the log is reopened; if that fails, the old one stays
//	SIGTERM, SIGINT                       no more requests are taken, waiting ones get FAILURE, transfers have 5 s
//	SIGKILL                               the next server takes over the queue and the requests in it
//
// The specs in daemonlab/specs show what the contract asks for, the tests in this directory the rest.
package main
