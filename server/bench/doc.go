// Bench races the servers: this project's, the lab's solution in C, the System V server that the lab begins with, and
// the raw limit, loops of mq_send and mq_receive without a file. See usage in flags.go.
//
// All of them get the same loads from the same clients in C, in turns, round by round, so that what else happens on the
// machine hits all alike. A server is started afresh for every load and warmed up by it.
package main
