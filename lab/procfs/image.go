package procfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
)

// image is an ELF file as a process has it in memory.
type image struct {
	*elf.File
	name string // for reports
	bias uint64 // what to add to a symbol's value
	file *os.File
}

func (i *image) close() { i.file.Close() }

func (i *image) fault(err error) error { return fmt.Errorf("%s: %w", i.name, err) }

// interpreted reports whether a dynamic linker starts the program.
func (i *image) interpreted() bool {
	for _, prog := range i.Progs {
		if prog.Type == elf.PT_INTERP {
			return true
		}
	}
	return false
}

// present makes a stripped image one without symbols.
func present(symbols []elf.Symbol, err error) ([]elf.Symbol, error) {
	if errors.Is(err, elf.ErrNoSymbols) {
		return nil, nil
	}
	return symbols, err
}

// openImage opens the ELF file at path, to be closed by the caller.
func openImage(path, name string) (*image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &image{File: f, name: name, file: file}, nil
}

// openExecutable opens what the process runs, even when its file was removed. The bias is what the kernel says to the
// dynamic linker in the auxiliary vector (getauxval(3)): the entry point in memory less that in the file.
func (p Process) openExecutable() (*image, error) {
	name, err := p.Exe()
	if err != nil {
		return nil, err
	}
	exe, err := openImage(p.Path("exe"), name)
	if err != nil {
		return nil, err
	}
	entry, err := p.entryPoint(exe.File)
	if err != nil {
		exe.close()
		return nil, err
	}
	exe.bias = entry - exe.Entry
	return exe, nil
}

// atEntry is AT_ENTRY of elf.h.
const atEntry = 9

func (p Process) entryPoint(f *elf.File) (uint64, error) {
	auxv, err := os.ReadFile(p.Path("auxv"))
	if err != nil {
		return 0, err
	}
	word := wordSize(f)
	for ; len(auxv) >= 2*word; auxv = auxv[2*word:] {
		if number(auxv[:word], f.ByteOrder) == atEntry {
			return number(auxv[word:2*word], f.ByteOrder), nil
		}
	}
	return 0, fileError(p.Path("auxv"), errors.New("no AT_ENTRY"))
}

// wordSize is the size of a pointer in the program, in bytes.
func wordSize(f *elf.File) int {
	if f.Class == elf.ELFCLASS32 {
		return 4
	}
	return 8
}

func number(b []byte, order binary.ByteOrder) uint64 {
	if len(b) == 4 {
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

// headSize is how much of a library is compared with its mapping, in bytes: the ELF and program headers and, with
// today's linkers, the build ID.
const headSize = 1024

// libcVariable finds the environment variable in the library whose first page is m; nil when m is no such thing.
func (p Process) libcVariable(m Mapping, mem *memory) (*variable, error) {
	if m.Offset != 0 || !path.IsAbs(m.Path) {
		return nil, nil
	}
	head := make([]byte, headSize)
	if mem.fill(head, m.Start) != nil || !bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return nil, nil // a device's memory, or data
	}
	lib, err := p.openLibrary(m, head)
	if err != nil {
		return nil, err
	}
	defer lib.close()
	lib.bias = m.Start - firstAddress(lib.File)
	return lib.exportedVariable()
}

// openLibrary opens the file behind m. map_files leads to the very file but needs CAP_CHECKPOINT_RESTORE; the path may
// lead to another file by now, so its head must be what is in memory.
func (p Process) openLibrary(m Mapping, head []byte) (*image, error) {
	lib, err := openImage(p.Path("map_files", fmt.Sprintf("%x-%x", m.Start, m.End)), m.Path)
	if err == nil {
		return lib, nil
	}
	lib, err = openImage(p.Path("root", m.Path), m.Path)
	if err != nil {
		return nil, err
	}
	found := make([]byte, len(head))
	if _, err = lib.file.ReadAt(found, 0); err == nil && !bytes.Equal(found, head) {
		err = fmt.Errorf("not the file that is mapped at %x", m.Start)
	}
	if err != nil {
		lib.close()
		return nil, lib.fault(err)
	}
	return lib, nil
}

// firstAddress is where the library's file offset 0 would be without a bias.
func firstAddress(f *elf.File) uint64 {
	for _, prog := range f.Progs {
		if prog.Type == elf.PT_LOAD && prog.Off == 0 {
			return prog.Vaddr
		}
	}
	return 0
}
