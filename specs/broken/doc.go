// Package broken proves the specs by programs whose verdict is known.
//
// Each patch in this directory is the reference, server and client in Go or the solution in C, with one change. The
// lines before the diff say what it is:
//
//	Fault: the table of descriptors is closed only up to 255.
//	Kills: fds
//	Program: server
//	Language: go
//
// A program must fail every row that Kills names and no other. A change that breaks no rule, such as another order of
// the steps, says `Kills: none` and must fail nothing. Two more lines are for some: `May: leaks` names rows that the
// fault fails when chance has it, and `Needs: root` says that the fault shows only in a server that root starts.
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
