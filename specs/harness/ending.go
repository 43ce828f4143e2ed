package harness

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"daemonlab/lab/procfs"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// endings maps PIDs of reaped adopted processes to wait statuses.
var endings sync.Map

// Ending says how the daemon ended, if it did so unasked: by which signal or with which status and, after a fault in a
// C program, on which line, if the kernel log is readable.
func (s *Server) Ending() (how rubric.Text, ended bool) {
	if s.toEnd || s.Alive() {
		return rubric.Text{}, false
	}
	reap(s.PID)
	noted, known := endings.Load(s.PID)
	if !known {
		return finding.Say("the daemon has ended"), true
	}
	return sayEnding(s.PID, noted.(unix.WaitStatus), s.program), true
}

func sayEnding(pid int, status unix.WaitStatus, program string) rubric.Text {
	if !status.Signaled() {
		return finding.Say("the daemon ended: exit status %d: main returned, or exit(3) was called, which from any "+
			"thread ends the process", status.ExitStatus())
	}
	how := finding.Say("the daemon ended: signal %d, %s", status.Signal(), unix.SignalName(status.Signal()))
	if line := crashLine(pid, program); line != "" {
		return finding.Say("%s, in %s", how, line)
	}
	return how
}

// endingOfLast says, on a line of its own, how the last process of a start without survivors ended, and by which
// signal.
func endingOfLast(ended []procfs.Stat, program string) (how rubric.Text, by unix.Signal) {
	if len(ended) == 0 {
		return how, 0 // not adopted: it ended before its parent
	}
	pid := ended[len(ended)-1].Pid
	reap(pid)
	noted, known := endings.Load(pid)
	if !known {
		return how, 0
	}
	status := noted.(unix.WaitStatus)
	how = finding.Say("\n%v", sayEnding(pid, status, program))
	if !status.Signaled() {
		return how, 0
	}
	if status.Signal() == unix.SIGHUP {
		how = finding.Say("%v: when a session leader that has a terminal exits, the kernel sends SIGHUP to what is "+
			"left of the session; see setsid(2), step 5", how)
	}
	return how, status.Signal()
}

// segfault matches the kernel's log of a fault that ends a process, see arch/x86/mm/fault.c and print_vma_addr in
// mm/memory.c: the instruction's offset in the file; before Linux 6.11 only where the file was mapped.
var segfault = regexp.MustCompile(`([^ ]+)\[(\d+)\]: .* ip ([0-9a-f]+) .* in [^\[]*\[(?:([0-9a-f]+),)?([0-9a-f]+)\+[0-9a-f]+\]`)

// crashLine returns function, file and line of the instruction at which a process got a signal, "" if unknown. It takes
// the last fault logged for the program, probably the right one: the log names only the thread.
func crashLine(pid int, program string) string {
	const readAll = 3 // SYSLOG_ACTION_READ_ALL; it needs CAP_SYSLOG where dmesg_restrict is 1
	log := make([]byte, 1<<20)
	n, err := unix.Klogctl(readAll, log)
	if err != nil {
		return ""
	}
	name := filepath.Base(program)
	name = name[:min(len(name), 15)] // TASK_COMM_LEN, see prctl(2)
	var found []string
	for lines := bufio.NewScanner(bytes.NewReader(log[:n])); lines.Scan(); {
		m := segfault.FindStringSubmatch(lines.Text())
		if m == nil || m[1] != name {
			continue
		}
		if thread, _ := strconv.Atoi(m[2]); thread >= pid {
			found = m
		}
	}
	if found == nil {
		return ""
	}
	address, ok := addressIn(program, found[3], found[4], found[5])
	if !ok {
		return ""
	}
	out, err := exec.Command("addr2line", "-f", "-s", "-e", program, fmt.Sprintf("%#x", address)).Output()
	function, place, two := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || !two || strings.HasPrefix(place, "?") {
		return ""
	}
	place, _, _ = strings.Cut(place, " ") // (discriminator 1)
	if strings.HasSuffix(place, "?") {    // built without -g
		return function + "()"
	}
	return fmt.Sprintf("%s() (%s)", function, place)
}

// addressIn returns an instruction's address in the program's symbol table, from its offset in the file or in the
// executable segment's mapping.
func addressIn(program, ip, place, base string) (uint64, bool) {
	file, err := elf.Open(program)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	at, _ := strconv.ParseUint(ip, 16, 64)
	mapped, _ := strconv.ParseUint(base, 16, 64)
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_LOAD || segment.Flags&elf.PF_X == 0 {
			continue
		}
		if place == "" {
			const page = 4096
			return at - mapped + segment.Vaddr&^(page-1), true
		}
		offset, _ := strconv.ParseUint(place, 16, 64)
		return offset - segment.Off + segment.Vaddr, true
	}
	return 0, false
}
