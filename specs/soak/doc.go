// Soak runs a server for minutes under clients good and hostile, with signals and restarts, and checks every byte.
//
// Actors act at random, each by a source of its own that comes from the seed: a run can be repeated as far as the
// scheduler allows. A request is lost when it gets no answer, or a wrong one, and nothing that was done to the server
// excuses that: what SIGKILL cut, and what was sent to a queue that had lost its name. Now and then all actors stand
// still, and the server is looked at: its descriptors, threads and memory have to be where they were.
package main
