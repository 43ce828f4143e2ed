// Package broken proves the specs by programs whose verdict is known.
//
// Each patch in this directory is the reference, server and client in Go or the solution in C, with one change. The
// lines before the diff say what it is:
//
//	Fault: the table of descriptors is closed only up to 255.
//	Kills: fds
//
// A program must fail every row that Kills names and no other. A change that breaks no rule, such as another order of
// the steps, says `Kills: none` and must fail nothing. Some have one of two more lines: `May: leaks` names rows
// that the program fails in some runs only, and `Needs: root` says that the fault shows only when root starts the
// server.
//
// The programs in languages are correct, and written in other languages from the contract alone: a server and a client in
// each. They must fail nothing.
//
// The programs in wild break every rule at once: they hang, die, flood, hide and destroy. Of them the suite must give
// a verdict in bounded time, and nothing of them may be left.
//
//	go test -v ./specs/broken                       all of them, with the kill matrix
//	go test -v ./specs/broken -only '^(fds|env)-'   some of them
//	go test -short ./specs/broken                   only whether the patches apply and each has its clause
//
// clauses.md has the contract clause by clause, each with its row and the programs that break it.
package broken
