package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where figures were measured, without which they mean nothing.
type machine struct {
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Kernel  string    `json:"kernel"`
	Go      string    `json:"go"`
	GCC     string    `json:"gcc"`
	User    string    `json:"user"` // "root" or "ordinary user"
	Date    time.Time `json:"date"`
	LoadAvg string    `json:"load_average"` // of 1, 5 and 15 minutes, before the first load
}

func thisMachine() machine {
	user := "ordinary user"
	if os.Geteuid() == 0 {
		user = "root"
	}
	var u unix.Utsname
	unix.Uname(&u)
	kernel := []string{unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]),
		unix.ByteSliceToString(u.Machine[:])}
	gcc, _ := exec.Command("gcc", "-dumpfullversion").Output()
	load, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(load))
	return machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: strings.Join(kernel, " "), Go: runtime.Version(),
		GCC: cmp.Or(strings.TrimSpace(string(gcc)), "unknown"), User: user, Date: time.Now().UTC().Truncate(time.Second),
		LoadAvg: strings.Join(fields[:min(3, len(fields))], " ")}
}

// String is one line.
func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, go %s, gcc %s, as %s", m.CPU, m.Cores, m.Kernel,
		strings.TrimPrefix(m.Go, "go"), m.GCC, m.User)
}

// cpuModel looks for the names that architectures give it in /proc/cpuinfo.
func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for _, want := range []string{"model name", "Model", "CPU part"} {
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			if strings.TrimSpace(key) == want {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown CPU"
}
