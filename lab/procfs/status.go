package procfs

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Status is /proc/PID/status, or that of one thread: signal mask, credentials and capabilities belong to the thread.
type Status struct {
	Name      string // the thread's comm, at most 15 bytes, unescaped
	State     State
	Tgid      int // the process
	Pid       int // the thread; equal to Tgid in the thread-group leader
	PPid      int // 0 when the parent is outside of this PID namespace
	TracerPid int // 0 when nothing traces it
	Uid, Gid  IDs
	Groups    []int  // supplementary groups, ascending
	Umask     int    // -1 when the process has none any more (a zombie)
	VmRSS     uint64 // resident memory in bytes; 0 for zombies and kernel threads, which have no memory
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

// State is the letter that proc(5) has for what a thread is doing.
type State byte

// Ended reports whether the thread is a zombie or dead.
func (s State) Ended() bool { return s == 'Z' || s == 'X' || s == 'x' }

var stateNames = map[State]string{
	'R': "running", 'S': "sleeping", 'D': "disk sleep", 'T': "stopped", 't': "tracing stop", 'Z': "zombie",
	'X': "dead", 'x': "dead", 'K': "wakekill", 'W': "waking", 'P': "parked", 'I': "idle",
}

// String is the letter and its meaning: `S (sleeping)`.
func (s State) String() string { return fmt.Sprintf("%c (%s)", byte(s), stateNames[s]) }

func parseState(letter byte) (State, error) {
	if _, known := stateNames[State(letter)]; !known {
		return 0, fmt.Errorf("unknown state %q", letter)
	}
	return State(letter), nil
}

// Status reads /proc/PID/status.
func (p Process) Status() (Status, error) { return load(p.Path("status"), ParseStatus) }

// ParseStatus parses /proc/PID/status. Fields unknown to it are passed over, as newer kernels add some; the lines of
// known ones must be right, and all but those of [optionalStatus] must be there, once.
func ParseStatus(r io.Reader) (Status, error) {
	s := Status{Umask: -1}
	seen := map[string]bool{}
	err := eachLine("status", r, func(line string) error {
		key, value, ok := strings.Cut(line, ":\t")
		if !ok {
			return errors.New("not of the form key:<tab>value")
		}
		if seen[key] {
			return errors.New("a second time")
		}
		seen[key] = true
		if set := statusFields[key]; set != nil {
			return set(&s, value)
		}
		return nil
	})
	if err == nil {
		err = missing(seen)
	}
	return s, err
}

// optionalStatus has what zombies and kernel threads lack.
var optionalStatus = map[string]bool{"Umask": true, "VmRSS": true}

func missing(seen map[string]bool) error {
	for key := range statusFields {
		if !seen[key] && !optionalStatus[key] {
			return fileError("status", fmt.Errorf("no line %q", key))
		}
	}
	return nil
}

type setStatus func(s *Status, value string) error

var statusFields = map[string]setStatus{
	"Name":      setName,
	"State":     setState,
	"Tgid":      setInt(func(s *Status) *int { return &s.Tgid }),
	"Pid":       setInt(func(s *Status) *int { return &s.Pid }),
	"PPid":      setInt(func(s *Status) *int { return &s.PPid }),
	"TracerPid": setInt(func(s *Status) *int { return &s.TracerPid }),
	"Uid":       setIDs(func(s *Status) *IDs { return &s.Uid }),
	"Gid":       setIDs(func(s *Status) *IDs { return &s.Gid }),
	"Groups":    setGroups,
	"Umask":     setUmask,
	"VmRSS":     setRSS,
	"Threads":   setInt(func(s *Status) *int { return &s.Threads }),
	"SigPnd":    setMask(func(s *Status) *SignalSet { return &s.SigPnd }),
	"ShdPnd":    setMask(func(s *Status) *SignalSet { return &s.ShdPnd }),
	"SigBlk":    setMask(func(s *Status) *SignalSet { return &s.SigBlk }),
	"SigIgn":    setMask(func(s *Status) *SignalSet { return &s.SigIgn }),
	"SigCgt":    setMask(func(s *Status) *SignalSet { return &s.SigCgt }),
	"CapPrm":    setMask(func(s *Status) *CapSet { return &s.CapPrm }),
	"CapEff":    setMask(func(s *Status) *CapSet { return &s.CapEff }),
	"CapBnd":    setMask(func(s *Status) *CapSet { return &s.CapBnd }),
	"CapAmb":    setMask(func(s *Status) *CapSet { return &s.CapAmb }),
}

func setInt(field func(*Status) *int) setStatus {
	return func(s *Status, value string) (err error) {
		*field(s), err = strconv.Atoi(value)
		return err
	}
}

func setGroups(s *Status, value string) (err error) {
	s.Groups, err = decimals(value)
	return err
}

func setIDs(field func(*Status) *IDs) setStatus {
	return func(s *Status, value string) error {
		ids, err := decimals(value)
		if err == nil && len(ids) != 4 {
			err = errFields
		}
		copy(field(s)[:], ids)
		return err
	}
}

func setMask[T ~uint64](field func(*Status) *T) setStatus {
	return func(s *Status, value string) error {
		mask, err := hexMask(value)
		*field(s) = T(mask)
		return err
	}
}

func setName(s *Status, value string) (err error) {
	s.Name, err = unescape(value)
	return err
}

// unescape undoes what the kernel's proc_task_name does to a comm: newline and backslash become \n and \\.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			switch i++; {
			case i < len(s) && s[i] == '\\':
			case i < len(s) && s[i] == 'n':
				c = '\n'
			default:
				return "", errors.New("unknown escape")
			}
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

func setState(s *Status, value string) (err error) {
	if len(value) < 4 || value[1:3] != " (" {
		return errors.New("not of the form S (sleeping)")
	}
	s.State, err = parseState(value[0])
	return err
}

func setUmask(s *Status, value string) error {
	mask, err := strconv.ParseUint(value, 8, 12)
	s.Umask = int(mask)
	return err
}

func setRSS(s *Status, value string) error {
	digits, ok := strings.CutSuffix(strings.TrimLeft(value, " "), " kB")
	if !ok {
		return errors.New("not in kB")
	}
	kB, err := strconv.ParseUint(digits, 10, 54)
	s.VmRSS = kB * 1024
	return err
}
