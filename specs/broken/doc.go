// Package broken tests the specs with programs whose verdict is known.
//
// Each patch in this directory is a single change to the reference (server and client in Go) or to the C solution. The
// lines before the diff describe it:
//
//	Fault: the table of descriptors is closed only up to 255.
//	Kills: fds
//
// A program must fail every row that Kills names and no other. A change that breaks no rule, such as another order of
// the steps, says `Kills: none` and must fail nothing. Two more lines are optional: `May: leaks` names rows that the
// program fails in some runs only, and `Needs: root` says that the fault shows only when root starts the server.
//
// The programs in languages are correct, a server and a client each, written in other languages from the contract
// alone. They must fail nothing.
//
// The programs in wild break every rule at once: they hang, die, flood, hide and destroy. The suite must give a verdict
// on them in bounded time, and nothing of them may be left.
//
//	go test -v ./specs/broken                       all of them, with the kill matrix
//	go test -v ./specs/broken -only '^(fds|env)-'   some of them
//	go test -short ./specs/broken                   only whether the patches apply and each has its clause
//
// clauses.md has the contract clause by clause, each with its row and the programs that break it.
package broken
