// # When things go wrong
//
// The server gives up as little as it can, frees everything that the matter held, and serves the next request. Its log
// says what happened.
//
//	a client dies                         noticed at once by its pidfd; its transfer ends
//	a client takes nothing                its transfer ends after --stall, with FAILURE if there is room
//	clients of one user take their time   they have --share of the transfers, further requests of theirs are held back
//	                                      in order; 1,024 of one user alone, then FAILURE
//	too many transfers                    requests stay in the queue, clients wait in mq_send(3)
//	garbage, no such reply queue, one     dropped: there is nobody to answer to
//	  of another user's or its own
//	another server's as reply queue       that server drops what comes, as garbage
//	two requests with one reply queue     both are answered, mixed; the client is to blame
//	a reply queue's name is used again    the transfer goes on in the queue that it has open
//	a file shrinks, or the disk fails     FAILURE, in the middle of the transfer
//	a file grows                          as much is sent as INFO said
//	a file is unlinked, replaced, or      sent as it was opened
//	  may not be read any more
//	the log's disk is full, syslog gone   lines are lost, and counted in the first that gets through
//	RLIMIT_NOFILE                         bounds --transfers, so that descriptors are always there
//	RLIMIT_MSGQUEUE                       a shallower request queue; none at all is an error at the start
//	the request queue is unlinked         within a second its requests are taken and it is made again
//	the registration is taken             within a second it is taken back
//	SIGHUP                                the log is opened again; if it cannot be, the old one stays
//	SIGTERM, SIGINT                       no more requests are taken, those that wait get FAILURE, transfers have 5 s
//	a queue that was left has a stranger  its requests are taken, and it is made again
//	  registered
//	SIGKILL                               the next server takes over the queue, with the requests that are in it
//
// The specs in daemonlab/specs show what the contract asks for, the tests beside this file the rest.
package main
