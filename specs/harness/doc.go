// Package harness starts a server or a client from outside, as the specs need it, and records what can be observed. It
// knows the contract and the kernel, not how a program is written.
//
// A server is started by the launcher, which makes the setting hostile and then executes the program, so the suite's
// own process is unaffected. The suite is a subreaper: it adopts the daemon when its middle process exits, so PPid is
// exact, and every process of a start can be found, killed and reaped, even one that has left its session and lost its
// parents.
package harness
