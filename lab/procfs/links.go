package procfs

import "os"

// Cwd returns the working directory as the process's root sees it; ` (deleted)` follows when it was removed.
func (p Process) Cwd() (string, error) { return p.link("cwd") }

// Exe returns the executable; ` (deleted)` follows when it was removed.
func (p Process) Exe() (string, error) { return p.link("exe") }

// Root returns the root directory, which is `/` unless the process was put in another with chroot(2).
func (p Process) Root() (string, error) { return p.link("root") }

func (p Process) link(name string) (string, error) {
	target, err := os.Readlink(p.Path(name))
	return target, p.unlessEnded(name, false, err)
}
