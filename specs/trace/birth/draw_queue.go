package birth

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/wire"
	"daemonlab/specs/trace/event"
)

func drawQueue(r *reader, row *Row) {
	e := &row.events[0]
	flags := ""
	if e.Name == "mq_open" {
		flags = ", " + openFlags(e.Value)
	}
	if e.Path == r.queue {
		row.ID = "notify"
	}
	row.Text = fmt.Sprintf("%s(%s%s)%s", e.Name, e.Path, flags, outcome(e))
}

func drawNotify(r *reader, row *Row) {
	e := &row.events[0]
	how := "NULL"
	if e.Args[1] != 0 {
		how = map[uint64]string{0: "SIGEV_SIGNAL", 1: "SIGEV_NONE", sigevThread: "SIGEV_THREAD"}[e.Value]
	}
	row.ID = "notify"
	if row.Phase != Birth {
		row.ID = "rearm"
	}
	row.Text = "mq_notify(" + how + ")" + outcome(e)
	if e.Result == -int64(unix.EBUSY) {
		row.Text += ": registered"
	}
}

func drawReceive(r *reader, row *Row) {
	e := &row.events[0]
	row.ID = "rearm"
	if row.Phase == Birth {
		row.ID = "backlog"
	}
	row.Text = fmt.Sprintf("mq_receive(%s)%s", e.File, outcome(e))
	switch {
	case isEmpty(e):
		row.Text += ": empty"
	case e.Cut:
		row.Text = fmt.Sprintf("mq_receive(%s) waits", e.File)
	case !e.Failed():
		row.Text = fmt.Sprintf("mq_receive(%s) = %d bytes", e.File, e.Result)
	}
}

func isEmpty(e *event.Event) bool {
	return e.Result == -int64(unix.EAGAIN) || e.Result == -int64(unix.ETIMEDOUT)
}

var kinds = map[uint64]string{
	uint64(wire.Info): "INFO", uint64(wire.Failure): "FAILURE", uint64(wire.Data): "DATA", uint64(wire.End): "END",
}

// drawSend shows the messages of a transfer as one, by their priorities.
func drawSend(_ *reader, row *Row) {
	var words []string
	count := 0
	for i := range row.events {
		e := &row.events[i]
		count++
		if i+1 < len(row.events) && row.events[i+1].Args[3] == e.Args[3] && !e.Failed() {
			continue
		}
		word := kinds[e.Args[3]]
		if word == "" {
			word = fmt.Sprintf("priority %d", e.Args[3])
		}
		if count > 1 {
			word = fmt.Sprintf("%d x %s", count, word)
		}
		words, count = append(words, word+outcome(e)), 0
	}
	row.Text = "mq_send: " + strings.Join(words, ", ")
}
