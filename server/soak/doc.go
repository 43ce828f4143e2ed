// Soak runs a server for minutes under clients good and hostile, with signals and restarts, and checks every byte.
//
// Actors act at random, each by a source of its own that comes from the seed: a run can be repeated as far as the
// scheduler allows. A request is lost when it gets no answer, or a wrong one, and nothing that was done to the server
// excuses that: what SIGKILL cut, and what was sent to a queue that had lost its name. A slow server is not wrong: an
// answer is missing once many others have come instead, or none for too long. Now and then all actors stand still, and
// the server is looked at: its descriptors, threads and memory have to be where they were.
//
// When a server ends by itself the run ends too, and shows what its log says of that.
package main
