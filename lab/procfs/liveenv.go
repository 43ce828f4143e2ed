package procfs

import (
	"cmp"
	"debug/elf"
	"fmt"
)

// Environment is the variables of a process and where they were found.
type Environment struct {
	Vars   []string // as they are: an entry may be empty or have no `=`
	Live   bool     // as the process sees them now; false: as its last exec gave them
	Source string   // for reports: `environ of /usr/lib/x86_64-linux-gnu/libc.so.6`, `/proc/4711/environ`
}

// LiveEnviron reads the environment as the process itself sees it now with getenv(3). It follows libc's environ, which
// environ(7) documents, in the executable (static, or with a copy relocation) or in a library. For a Go program it
// follows the variable behind os.Getenv.
//
// A program with neither, such as a stripped static one, gets its initial block with Live false: it may have changed
// its variables since. The read is not atomic; a process that is changing its environment may make it fail.
//
// Reading memory takes ptrace(2) attach rights: the same user, and under Yama's ptrace_scope 1 an ancestor, or
// CAP_SYS_PTRACE.
func (p Process) LiveEnviron() (Environment, error) {
	exe, err := p.openExecutable()
	if err != nil {
		return Environment{}, err
	}
	defer exe.close()
	mem, err := openMemory(p.Path("mem"), exe.File)
	if err != nil {
		return Environment{}, err
	}
	defer mem.Close()
	v, err := p.findVariable(exe, mem)
	if err != nil {
		return Environment{}, err
	}
	if v == nil {
		vars, err := p.Environ()
		return Environment{Vars: vars, Source: p.Path("environ")}, err
	}
	vars, err := v.read(mem, v.addr)
	if err != nil {
		return Environment{}, fmt.Errorf("%s: %s: %w", p.Path("mem"), v.source, err)
	}
	return Environment{vars, true, v.source}, nil
}

// variable is where a process keeps its environment.
type variable struct {
	addr   uint64
	source string
	read   func(mem *memory, addr uint64) ([]string, error)
}

// findVariable looks in the order of the dynamic linker, the executable before the libraries. It returns nil when
// nobody has the variable.
func (p Process) findVariable(exe *image, mem *memory) (*variable, error) {
	v, err := exe.programVariable()
	if v != nil || err != nil {
		return v, err
	}
	maps, err := p.Maps()
	if err != nil {
		return nil, err
	}
	var failed error // counts only when no other library has it
	for _, m := range maps {
		v, err := p.libcVariable(m, mem)
		if v != nil {
			return v, nil
		}
		failed = cmp.Or(failed, err)
	}
	return nil, failed
}

// programVariable finds the variable that the executable itself defines. A dynamic program's must be exported, for
// libc would not use another of that name.
func (i *image) programVariable() (*variable, error) {
	v, err := i.exportedVariable()
	if v != nil || err != nil {
		return v, err
	}
	symbols, err := present(i.Symbols())
	if err != nil {
		return nil, i.fault(err)
	}
	for _, s := range symbols {
		switch {
		case s.Name == "syscall.envs" && isObject(s): // Go's package syscall
			return &variable{i.bias + s.Value, s.Name + " of " + i.name, readGoStrings}, nil
		case isEnviron(s) && !i.interpreted():
			return i.environ(s), nil
		}
	}
	return nil, nil
}

// exportedVariable finds the variable among the image's dynamic symbols.
func (i *image) exportedVariable() (*variable, error) {
	symbols, err := present(i.DynamicSymbols())
	if err != nil {
		return nil, i.fault(err)
	}
	for _, s := range symbols {
		if isEnviron(s) {
			return i.environ(s), nil
		}
	}
	return nil, nil
}

func (i *image) environ(s elf.Symbol) *variable {
	return &variable{i.bias + s.Value, "environ of " + i.name, readStrings}
}

// isEnviron recognizes both names that libc has for it. Programs that use neither by name may still have it as the
// target of a copy relocation, under both.
func isEnviron(s elf.Symbol) bool {
	return (s.Name == "environ" || s.Name == "__environ") && isObject(s) && elf.ST_BIND(s.Info) != elf.STB_LOCAL
}

func isObject(s elf.Symbol) bool {
	return elf.ST_TYPE(s.Info) == elf.STT_OBJECT && s.Section != elf.SHN_UNDEF
}
