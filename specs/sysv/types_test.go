package sysv_test

import (
	"math"
	"math/rand/v2"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/sysv"
)

// inBoth makes a queue of each kind, with messages of these types and priorities in it.
func inBoth(messages ...message) (sysv.Queue, *mq.Blocking) {
	GinkgoHelper()
	q, p := newSysV(), newPOSIX()
	send(q, messages...)
	post(p, messages...)
	return q, p
}

// taking is a series of msgrcv with one selector: what comes, and ENOMSG after it if there are other messages left.
type taking struct {
	selector, flags int
	messages        []message
}

// fromBoth sends messages to a queue of each kind, and proves what comes out of them.
func fromBoth(sent []message, takings []taking, fetched []message) {
	q, p := inBoth(sent...)
	left := len(sent)
	for _, t := range takings {
		for _, m := range t.messages {
			Expect(receive(q, t.selector, t.flags)).To(Equal(m))
			left--
		}
		Expect(receive(q, t.selector, t.flags)).Error().To(MatchError(unix.ENOMSG))
	}
	Expect(status(q).Messages).To(Equal(left))
	Expect(fetch(p, len(fetched))).To(Equal(fetched))
}

var (
	history  = []message{{2, "first"}, {1, "second"}, {3, "third"}, {1, "fourth"}}
	sameKind = []message{{7, "a"}, {7, "b"}, {7, "c"}, {7, "d"}}
)

// What msgrcv's type selects, and what priorities can do of that.
var _ = DescribeTable(compares+"types and priorities", fromBoth,
	Entry("takes the oldest message with type 0, where mq_receive takes the highest priority",
		history, []taking{{0, 0, history}}, []message{{3, "third"}, {2, "first"}, {1, "second"}, {1, "fourth"}}),
	Entry("keeps the order of arrival with type 0 over POSIX queues too, if all priorities are the same",
		sameKind, []taking{{0, 0, sameKind}}, sameKind),
	Entry("takes one type with a positive number and leaves the rest, which no priority can",
		history, []taking{{1, 0, []message{{1, "second"}, {1, "fourth"}}}}, []message{{3, "third"}}),
	Entry("takes nothing above the limit of a negative number, where mq_receive has no limit",
		history, []taking{{-2, 0, []message{{1, "second"}, {1, "fourth"}, {2, "first"}}}}, []message{{3, "third"}}),
	Entry("takes anything but one type with MSG_EXCEPT, which no priority can",
		history, []taking{{1, sysv.Except, []message{{2, "first"}, {3, "third"}}}}, []message{{3, "third"}}),
	Entry("keeps the messages of one type in order, as of one priority",
		sameKind, []taking{{7, 0, sameKind}}, sameKind),
	Entry("serves several clients over one queue, by their types; over POSIX each needs its own",
		[]message{{1001, "for 1"}, {1002, "for 2"}}, // with PIDs as types
		[]taking{{1001, 0, []message{{1001, "for 1"}}}, {1002, 0, []message{{1002, "for 2"}}}},
		[]message{{1002, "for 2"}}), // whichever client asks
	Entry("takes empty messages, as a POSIX queue does",
		[]message{{1, ""}}, []taking{{0, 0, []message{{1, ""}}}}, []message{{1, ""}}),
)

var _ = Describe(compares+"types and priorities", func() {
	It("takes the lowest type first with a negative number, as priorities turned round do", func() {
		const highest = 9
		q, p := inBoth()
		for range 200 {
			for i := range 4 {
				m := message{1 + rand.IntN(highest), string(rune('a' + i))}
				send(q, m)
				post(p, message{highest - m.kind, m.text})
			}
			byPriority := fetch(p, 4)
			for i := range byPriority {
				byPriority[i].kind = highest - byPriority[i].kind
			}
			Expect(take(q, -highest, 4)).To(Equal(byPriority))
		}
	})

	It("has types from 1 to LONG_MAX, and priorities from 0 to 32767", func() {
		q, p := inBoth(message{1, ""})
		send(q, message{math.MaxInt, ""})
		Expect(take(q, 0, 2)).To(Equal([]message{{1, ""}, {math.MaxInt, ""}}))
		for _, no := range []int{0, -5} {
			Expect(q.Send(no, nil, 0)).To(And(MatchError(unix.EINVAL), Not(MatchError(os.ErrNotExist))))
		}
		post(p, message{0, ""}, message{32767, ""})
		Expect(fetch(p, 3)).To(Equal([]message{{32767, ""}, {1, ""}, {0, ""}}))
		Expect(p.Send(nil, 32768)).To(MatchError(unix.EINVAL))
	})
})

const failure, data, end = 1, 2, 3 // as types of the baseline

// file is one that ends with an END of this type or priority.
func file(end int) []message { return []message{{data, "one"}, {data, "two"}, {end, ""}} }

// What follows for a protocol whose responses are FAILURE, DATA and END.
var _ = DescribeTable(compares+"the end of a file", fromBoth,
	Entry("delivers END last with type 0, whatever its number", file(1), []taking{{0, 0, file(1)}}, nil),
	Entry("delivers END last with a negative type if END is the highest type", file(end), []taking{{-end, 0, file(end)}}, nil),
	Entry("delivers END before DATA over a POSIX queue if its priority is higher", file(end), nil,
		[]message{{end, ""}, {data, "one"}, {data, "two"}}),
	Entry("delivers END last over a POSIX queue if its priority is the lowest", file(data-1), nil, file(data-1)),
	Entry("delivers FAILURE before the DATA that waits, as the lowest type and as a higher priority",
		[]message{{data, "one"}, {failure, ""}, {data + 1, ""}}, []taking{{-data, 0, []message{{failure, ""}, {data, "one"}}}},
		[]message{{data + 1, ""}, {data, "one"}, {failure, ""}}),
)
