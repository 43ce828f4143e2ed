// Package harness starts a server or a client from outside, as the specs need it, and records what can be observed. It
// knows the contract and the kernel, nothing of how a program is written.
//
// A server is started by the launcher, which makes the setting hostile and then executes the program, so that the
// suite's own process is unaffected. The suite's process is a subreaper: it adopts the daemon when its middle process
// exits, so PPid is exact, and every process of a start can be found, ended and reaped, even one that has left its
// session and its parents.
package harness
