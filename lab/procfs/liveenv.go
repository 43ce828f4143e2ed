package procfs

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Environment has the variables of a process and says where they were found.
type Environment struct {
	Vars   []string // verbatim: an entry may be empty or have no `=`
	Live   bool     // as the process sees them now; false: as passed to its last exec
	Source string   // for reports: `/usr/lib/x86_64-linux-gnu/libc.so.6: environ`, `/proc/4711/environ`
}

// LiveEnviron reads the environment as the process itself sees it now with getenv(3). It follows libc's environ, which
// environ(7) documents, in the executable (static, or with a copy relocation) or in a library. For a Go program it
// follows the variable behind os.Getenv.
//
// A program with neither, such as a stripped static one, gets its initial block with Live false: it may have changed
// its variables since. The read is not atomic; it may fail while the process is changing its environment.
//
// Reading memory takes ptrace(2) attach rights: the same user, and under Yama's ptrace_scope 1 an ancestor, or
// CAP_SYS_PTRACE.
func (p Process) LiveEnviron() (Environment, error) {
	p = p.living()
	name, err := p.Exe()
	if err != nil {
		return Environment{}, err
	}
	exe, err := elf.Open(p.Path("exe")) // opens the file itself, even if its name was removed
	if err != nil {
		return Environment{}, fmt.Errorf("%s: %w", name, err)
	}
	defer exe.Close()
	file, err := os.Open(p.Path("mem"))
	if err != nil {
		return Environment{}, err
	}
	defer file.Close()
	mem := &memory{file, 8, maxRead}
	if exe.Class == elf.ELFCLASS32 {
		mem.word = 4
	}
	v, err := p.findVariable(exe, name, mem)
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

// findVariable searches in the dynamic linker's order, the executable before the libraries. It returns nil if none has
// the variable.
func (p Process) findVariable(exe *elf.File, name string, mem *memory) (*variable, error) {
	entry, err := p.entryPoint(mem)
	if err != nil {
		return nil, err
	}
	if v, err := programVariable(exe, name, entry-exe.Entry); v != nil || err != nil {
		return v, err
	}
	mappings, err := load(p.Path("maps"), parseMaps)
	if err = p.unlessEnded("maps", len(mappings) == 0, err); err != nil {
		return nil, err
	}
	var failed error // counts only if no other library has it
	for _, m := range mappings {
		if m.path == name { // the executable; if removed it cannot be opened here without CAP_CHECKPOINT_RESTORE
			continue
		}
		v, err := p.libcVariable(m, mem)
		if v != nil {
			return v, nil
		}
		failed = cmp.Or(failed, err)
	}
	return nil, failed
}

// entryPoint returns the program's entry point in memory, as the kernel gives it to the dynamic linker in the
// auxiliary vector (getauxval(3)).
func (p Process) entryPoint(mem *memory) (uint64, error) {
	auxv, err := os.ReadFile(p.Path("auxv"))
	if err != nil {
		return 0, err
	}
	const atEntry = 9 // AT_ENTRY of elf.h
	for pair := range slices.Chunk(mem.decode(auxv), 2) {
		if pair[0] == atEntry {
			return pair[1], nil
		}
	}
	return 0, fmt.Errorf("%s: no AT_ENTRY", p.Path("auxv"))
}

// programVariable finds the variable if the executable itself defines it; bias is added to its symbols. In a dynamic
// program it must be exported, or libc would not use it.
func programVariable(exe *elf.File, name string, bias uint64) (*variable, error) {
	if v, err := exportedVariable(exe, name, bias); v != nil || err != nil {
		return v, err
	}
	symbols, err := exe.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	interpreted := slices.ContainsFunc(exe.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	for _, s := range symbols {
		switch {
		case s.Name == "syscall.envs" && isObject(s): // Go's package syscall
			return &variable{bias + s.Value, name + ": " + s.Name, readGoStrings}, nil
		case isEnviron(s) && !interpreted:
			return &variable{bias + s.Value, name + ": environ", readStrings}, nil
		}
	}
	return nil, nil
}

// exportedVariable finds the variable among the dynamic symbols.
func exportedVariable(image *elf.File, name string, bias uint64) (*variable, error) {
	symbols, err := image.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	i := slices.IndexFunc(symbols, isEnviron)
	if i < 0 {
		return nil, nil
	}
	return &variable{bias + symbols[i].Value, name + ": environ", readStrings}, nil
}

// isEnviron recognizes libc's two names for the variable. A program that uses neither name may still have it under
// both, as the target of a copy relocation.
func isEnviron(s elf.Symbol) bool {
	return (s.Name == "environ" || s.Name == "__environ") && isObject(s) && elf.ST_BIND(s.Info) != elf.STB_LOCAL
}

func isObject(s elf.Symbol) bool {
	return elf.ST_TYPE(s.Info) == elf.STT_OBJECT && s.Section != elf.SHN_UNDEF
}

// libcVariable finds the variable in the library whose first page is m; nil if m is not a library's.
func (p Process) libcVariable(m mapping, mem *memory) (*variable, error) {
	if m.offset != 0 || !path.IsAbs(m.path) {
		return nil, nil
	}
	if magic, _ := mem.read(m.start, uint64(len(elf.ELFMAG))); string(magic) != elf.ELFMAG {
		return nil, nil // device memory, or data
	}
	// map_files leads to the file itself but needs CAP_CHECKPOINT_RESTORE. The path of a replaced file ends in `
	// (deleted)`.
	lib, err := elf.Open(p.Path("map_files", fmt.Sprintf("%x-%x", m.start, m.end)))
	if err != nil {
		lib, err = elf.Open(p.Path("root", m.path))
	}
	if err != nil {
		return nil, err
	}
	defer lib.Close()
	bias := m.start
	for _, prog := range lib.Progs {
		if prog.Type == elf.PT_LOAD && prog.Off == 0 {
			bias -= prog.Vaddr
		}
	}
	return exportedVariable(lib, m.path, bias)
}

// mapping is one line of /proc/PID/maps.
type mapping struct {
	start, end uint64 // addresses; end is exclusive
	offset     uint64 // bytes into the file
	path       string // as the kernel writes it: newline as \012, ` (deleted)` at the end; `[stack]`; empty
}

func parseMaps(text string) ([]mapping, error) { return table(text, parseMapping) }

// parseMapping parses `7f88d70e0000-7f88d7106000 r--p 00000000 fe:00 326269      /usr/lib/libc.so.6`; the path, which
// may contain spaces, is the rest of the line.
func parseMapping(line string) (m mapping, err error) {
	words := strings.SplitN(line, " ", 6)
	if len(words) < 5 {
		return m, errFields
	}
	if len(words) == 6 {
		m.path = strings.TrimLeft(words[5], " ")
	}
	if _, err = fmt.Sscanf(words[0], "%x-%x", &m.start, &m.end); err != nil {
		return m, err
	}
	m.offset, err = strconv.ParseUint(words[2], 16, 64)
	return m, err
}
