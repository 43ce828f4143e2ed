// Package tool is shared by the project's command-line tools. The server and the client, which students write, do not
// use it.
package tool

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"golang.org/x/term"
)

// Parse parses the flags of the tool that f is named after, and calls check for what flags cannot say. It reports an
// error to the user, or prints the usage that --help asks for: the caller only has to exit with [UsageStatus].
func Parse(f *flag.FlagSet, args []string, usage string, check func() error) error {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	if err == nil {
		err = check()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %s\n", f.Name(), UsageError(err, "en"))
	}
	return err
}

// wrong maps messages of package flag to ours.
var wrong = []struct {
	said   *regexp.Regexp
	en, es string
}{
	{regexp.MustCompile(`^flag provided but not defined: -(.*)`), "no flag --$1", "no existe la opción --$1"},
	{regexp.MustCompile(`^flag needs an argument: -(.*)`), "--$1 needs a value", "a --$1 le falta un valor"},
	{regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-(.*?): (?:strconv.*|parse error|value out of range)$`),
		"--$2 $1: not a number in range", "--$2 $1: no es un número válido"},
	{regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-(.*?): `), "--$2 $1: ", "--$2 $1: "},
}

// UsageError is a message about a wrong command line, with flags as users type them, in English or Spanish.
func UsageError(err error, lang string) string {
	text, see := err.Error(), " (see --help)"
	if lang == "es" {
		see = " (mira --help)"
	}
	for _, w := range wrong {
		if lang == "es" {
			w.en = w.es
		}
		text = w.said.ReplaceAllString(text, w.en)
	}
	return text + see
}

// Rest parses flags that follow the other arguments, which it returns.
func Rest(f *flag.FlagSet) (others []string, err error) {
	for err == nil && f.NArg() > 0 {
		others = append(others, f.Arg(0))
		err = f.Parse(f.Args()[1:])
	}
	return others, err
}

// UsageStatus is the exit status after an error of [Parse].
func UsageStatus(err error) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	return 2
}

// ExitStatus is the exit status as a shell has it: 128 plus the signal's number if a signal ended the process.
func ExitStatus(state *os.ProcessState) int {
	if status := state.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// TerminalSize returns the size of the terminal on stdout; without one, $COLUMNS, or what fits on a page.
func TerminalSize() (columns, rows int) {
	if columns, rows, err := term.GetSize(syscall.Stdout); err == nil && columns > 0 && rows > 0 {
		return columns, rows
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns, 24
	}
	return 100, 24
}

// CopyProgram copies an executable so that every user may execute it, whatever the umask.
func CopyProgram(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(to, content, 0o755), os.Chmod(to, 0o755))
}

// WriteFile writes a file that appears whole or not at all; if durable, also across a crash of the machine.
func WriteFile(file string, content []byte, durable bool) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644))
	if durable {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
