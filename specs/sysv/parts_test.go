package sysv_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"daemonlab/lab/sysv"
)

// partVariable has this program play a part in another process.
const partVariable = "SYSV_SPECS_PART"

// parts are what another process can be asked to do. What it prints is its answer.
var parts = map[string]func(args []string) error{}

func playPart() {
	part := os.Getenv(partVariable)
	if part == "" {
		return
	}
	if err := parts[part](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// actor prepares another process. The path is good also where the binary's directory is closed to the user.
func actor(part string, args ...any) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	for _, arg := range args {
		cmd.Args = append(cmd.Args, fmt.Sprint(arg))
	}
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", partVariable+"="+part)
	return cmd
}

// perform runs another process to its end and returns what it prints.
func perform(part string, args ...any) string {
	GinkgoHelper()
	return run(actor(part, args...))
}

// performAs does so as another user of the namespace.
func performAs(uid uint32, part string, args ...any) string {
	GinkgoHelper()
	cmd := actor(part, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return run(cmd)
}

func run(cmd *exec.Cmd) string {
	GinkgoHelper()
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}

// queueOf reads the number of a queue from an argument.
func queueOf(arg string) (sysv.Queue, error) {
	id, err := strconv.Atoi(arg)
	return sysv.ByID(id), err
}
