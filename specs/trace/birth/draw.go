package birth

import (
	"fmt"
	"strings"

	"daemonlab/specs/trace/event"
)

// outcome is what a call gave back, when that is worth a word.
func outcome(e *event.Event) string {
	if e.Failed() {
		return " = " + e.Errno()
	}
	return ""
}

// drawCall shows a call with the arguments that matter.
func drawCall(id string) func(*reader, *Row) {
	return func(r *reader, row *Row) {
		row.ID, row.Text = id, callText(r, &row.events[0])
	}
}

// signed shows -1 as programs have it.
func signed(arg uint64) int32 { return int32(arg) }

func callText(r *reader, e *event.Event) string {
	var args string
	switch e.Name {
	case "setpgid":
		args = fmt.Sprintf("%d, %d", signed(e.Args[0]), signed(e.Args[1]))
	case "setgroups":
		args = "no groups"
		if e.Args[0] > 0 {
			args = fmt.Sprintf("%d groups", e.Args[0])
		}
	case "setresuid", "setresgid":
		args = fmt.Sprintf("%d, %d, %d", signed(e.Args[0]), signed(e.Args[1]), signed(e.Args[2]))
	case "setreuid", "setregid":
		args = fmt.Sprintf("%d, %d", signed(e.Args[0]), signed(e.Args[1]))
	case "setuid", "setgid":
		args = fmt.Sprint(signed(e.Args[0]))
	case "capset":
		args = "..."
	case "prctl":
		args = "NO_NEW_PRIVS"
	case "execve":
		args = e.Path
	}
	text := e.Name + "(" + args + ")" + outcome(e)
	if e.Name == "setsid" && !e.Failed() {
		text += fmt.Sprintf(" = %d", e.Result)
	}
	return text
}

// list joins numbers.
func list(numbers []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers)), ", "), "[]")
}

func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
