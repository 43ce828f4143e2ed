package procfs

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Status is /proc/PID/status of a process or thread: signal mask, credentials and capabilities are per thread.
type Status struct {
	Name      string // the thread's comm, at most 15 bytes, unescaped
	State     State
	Tgid      int // the process
	Pid       int // the thread; equal to Tgid in the thread-group leader
	PPid      int // 0 if the parent is outside this PID namespace
	TracerPid int // 0 if untraced
	Uid, Gid  IDs
	Groups    []int  // supplementary groups, ascending
	Umask     int    // -1 if it has none any more (a zombie without other threads)
	VmRSS     uint64 // resident memory in bytes; 0 for such zombies and for kernel threads, which have no memory
	Threads   int

	SigPnd, ShdPnd         SignalSet // pending for the thread, for the process
	SigBlk, SigIgn, SigCgt SignalSet // blocked by the thread; ignored, caught by the process

	CapPrm, CapEff, CapBnd, CapAmb CapSet
}

// IDs are the real, effective, saved set and file system identifiers of a thread, in this order.
type IDs [4]int

// All reports whether all four are id.
func (i IDs) All(id int) bool { return i == IDs{id, id, id, id} }

func (i IDs) String() string {
	return fmt.Sprintf("real %d, effective %d, saved %d, file system %d", i[0], i[1], i[2], i[3])
}

// State is the letter of proc(5) for what a thread is doing.
type State byte

// Ended reports whether the thread is a zombie or dead.
func (s State) Ended() bool { return s == 'Z' || s == 'X' || s == 'x' }

var stateNames = map[State]string{
	'R': "running", 'S': "sleeping", 'D': "disk sleep", 'T': "stopped", 't': "tracing stop", 'Z': "zombie",
	'X': "dead", 'x': "dead", 'K': "wakekill", 'W': "waking", 'P': "parked", 'I': "idle",
}

// String returns the letter and its meaning: `S (sleeping)`.
func (s State) String() string { return fmt.Sprintf("%c (%s)", byte(s), stateNames[s]) }

// parseState parses `S`, as in stat, or `S (sleeping)`, as in status.
func parseState(text string) (State, error) {
	letter, _, _ := strings.Cut(text, " (")
	if len(letter) != 1 || stateNames[State(letter[0])] == "" {
		return 0, errors.New("unknown state")
	}
	return State(letter[0]), nil
}

// Status reads /proc/PID/status.
func (p Process) Status() (Status, error) {
	s, err := load(p.Path("status"), parseStatus)
	if err == nil && s.State.Ended() {
		if shared, err := load(p.living().Path("status"), parseStatus); err == nil {
			s.Umask, s.VmRSS = shared.Umask, shared.VmRSS
		}
	}
	return s, err
}

// parseStatus parses /proc/PID/status. Unknown fields are skipped, as newer kernels add some; all known ones but two
// are required.
func parseStatus(text string) (Status, error) {
	f := fields{values: map[string]string{}}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		if !ok {
			return Status{}, fmt.Errorf("%.200q: not of the form name:<tab>value", line)
		}
		if _, twice := f.values[name]; twice {
			return Status{}, fmt.Errorf("%.200q: a second time", line)
		}
		f.values[name] = value
	}
	s := Status{
		Name:      field(&f, "Name", unescape),
		State:     field(&f, "State", parseState),
		Tgid:      field(&f, "Tgid", strconv.Atoi),
		Pid:       field(&f, "Pid", strconv.Atoi),
		PPid:      field(&f, "PPid", strconv.Atoi),
		TracerPid: field(&f, "TracerPid", strconv.Atoi),
		Uid:       field(&f, "Uid", parseIDs),
		Gid:       field(&f, "Gid", parseIDs),
		Groups:    field(&f, "Groups", decimals),
		Umask:     -1,
		Threads:   field(&f, "Threads", strconv.Atoi),
		SigPnd:    field(&f, "SigPnd", mask[SignalSet]),
		ShdPnd:    field(&f, "ShdPnd", mask[SignalSet]),
		SigBlk:    field(&f, "SigBlk", mask[SignalSet]),
		SigIgn:    field(&f, "SigIgn", mask[SignalSet]),
		SigCgt:    field(&f, "SigCgt", mask[SignalSet]),
		CapPrm:    field(&f, "CapPrm", mask[CapSet]),
		CapEff:    field(&f, "CapEff", mask[CapSet]),
		CapBnd:    field(&f, "CapBnd", mask[CapSet]),
		CapAmb:    field(&f, "CapAmb", mask[CapSet]),
	}
	if _, ok := f.values["Umask"]; ok {
		s.Umask = field(&f, "Umask", octal)
	}
	if _, ok := f.values["VmRSS"]; ok {
		s.VmRSS = field(&f, "VmRSS", kilobytes)
	}
	return s, f.err
}

// decimals parses numbers separated and padded by tabs and spaces.
func decimals(value string) (nums []int, err error) {
	for word := range strings.FieldsSeq(value) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		nums = append(nums, n)
	}
	return nums, nil
}

func parseIDs(value string) (IDs, error) {
	ids, err := decimals(value)
	if err != nil || len(ids) != len(IDs{}) {
		return IDs{}, cmp.Or(err, errFields)
	}
	return IDs(ids), nil
}

// mask parses the 16 hexadecimal digits of a signal or capability set.
func mask[T ~uint64](value string) (T, error) {
	if len(value) != 16 {
		return 0, errors.New("not 16 hexadecimal digits")
	}
	bits, err := strconv.ParseUint(value, 16, 64)
	return T(bits), err
}

// comms undoes the kernel's proc_task_name, which escapes newlines and backslashes in a comm.
var comms = strings.NewReplacer(`\\`, `\`, `\n`, "\n")

func unescape(comm string) (string, error) { return comms.Replace(comm), nil }

func octal(value string) (int, error) {
	bits, err := strconv.ParseUint(value, 8, 12)
	return int(bits), err
}

// kilobytes parses `    1636 kB` into bytes.
func kilobytes(value string) (uint64, error) {
	digits, ok := strings.CutSuffix(strings.TrimLeft(value, " "), " kB")
	if !ok {
		return 0, errors.New("not in kB")
	}
	kB, err := strconv.ParseUint(digits, 10, 54)
	return kB * 1024, err
}
