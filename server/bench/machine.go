package main

import (
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
	m := machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version(), GCC: gccVersion(),
		User: "ordinary user", Date: time.Now().UTC().Truncate(time.Second)}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " +
			unix.ByteSliceToString(u.Machine[:])
	}
	if os.Geteuid() == 0 {
		m.User = "root"
	}
	load, _ := os.ReadFile("/proc/loadavg")
	m.LoadAvg = strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " ")
	return m
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

func gccVersion() string {
	out, err := exec.Command("gcc", "-dumpfullversion").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
