package harness

import (
	"os/exec"
	"time"
)

// Patience is how long a program may take for what the contract wants at once. It bounds a failing spec and costs a
// passing one nothing. Calibrate sets it by what this machine, as busy as it is, needs to start a process.
var Patience = 5 * time.Second

// Slack is what is added to a limit of the contract in seconds: what a busy machine may take to notice.
var Slack = time.Second

// An idle machine starts a process in a millisecond or two.
const usualStart = 4 * time.Millisecond

// Calibrate measures the machine.
func Calibrate() {
	worst := time.Duration(0)
	for range 5 {
		begin := time.Now()
		exec.Command("/bin/true").Run()
		worst = max(worst, time.Since(begin))
	}
	if slow := float64(worst) / float64(usualStart); slow > 1 {
		Patience = min(time.Duration(float64(Patience)*slow), 30*time.Second)
		Slack = min(time.Duration(float64(Slack)*slow), 5*time.Second)
	}
}
