package sysv_test

import (
	"math"
	"math/rand/v2"

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

// What msgrcv's type selects, and what priorities can do of that.
var _ = Describe(compares+"types and priorities", func() {
	history := []message{{2, "first"}, {1, "second"}, {3, "third"}, {1, "fourth"}}

	It("takes the oldest message with type 0, where mq_receive takes the highest priority", func() {
		q, p := inBoth(history...)
		Expect(take(q, 0, 4)).To(Equal(history))
		Expect(fetch(p, 4)).To(Equal([]message{{3, "third"}, {2, "first"}, {1, "second"}, {1, "fourth"}}))
	})

	It("keeps the order of arrival with type 0 over POSIX queues too, if all priorities are the same", func() {
		_, p := inBoth(message{1, "a"}, message{1, "b"}, message{1, "c"})
		Expect(fetch(p, 3)).To(Equal([]message{{1, "a"}, {1, "b"}, {1, "c"}}))
	})

	It("takes one type with a positive number and leaves the rest, which no priority can", func() {
		q, p := inBoth(history...)
		Expect(take(q, 1, 2)).To(Equal([]message{{1, "second"}, {1, "fourth"}}))
		_, err := receive(q, 1, 0)
		Expect(err).To(MatchError(unix.ENOMSG))
		Expect(status(q).Messages).To(Equal(2))
		Expect(fetch(p, 1)).To(Equal([]message{{3, "third"}}), "whoever wants priority 1 has to take the others first")
	})

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

	It("takes nothing above the limit of a negative number, where mq_receive has no limit", func() {
		later := message{5, "later"}
		q, p := inBoth(later)
		_, err := receive(q, -4, 0)
		Expect(err).To(MatchError(unix.ENOMSG))
		Expect(take(q, -5, 1)).To(Equal([]message{later}))
		Expect(fetch(p, 1)).To(Equal([]message{later}))
	})

	It("takes anything but one type with MSG_EXCEPT, which no priority can", func() {
		q, p := inBoth(message{3, "urgent"}, message{2, "other"})
		Expect(receive(q, 3, sysv.Except)).To(Equal(message{2, "other"}))
		_, err := receive(q, 3, sysv.Except)
		Expect(err).To(MatchError(unix.ENOMSG))
		Expect(fetch(p, 1)).To(Equal([]message{{3, "urgent"}}))
	})

	It("keeps the messages of one type in order, as of one priority", func() {
		same := []message{{7, "a"}, {7, "b"}, {7, "c"}, {7, "d"}}
		q, p := inBoth(same...)
		Expect(take(q, 7, 4)).To(Equal(same))
		Expect(fetch(p, 4)).To(Equal(same))
	})

	It("has types from 1 to LONG_MAX, and priorities from 0 to 32767", func() {
		q, p := inBoth()
		send(q, message{1, ""}, message{math.MaxInt, ""})
		Expect(take(q, 0, 2)).To(Equal([]message{{1, ""}, {math.MaxInt, ""}}))
		Expect(q.Send(0, nil, 0)).To(MatchError(unix.EINVAL))
		post(p, message{0, ""}, message{32767, ""})
		Expect(fetch(p, 2)).To(Equal([]message{{32767, ""}, {0, ""}}))
		Expect(p.Send(nil, 32768)).To(MatchError(unix.EINVAL))
	})

	It("serves several clients over one queue, by their types; over POSIX each needs its own", func() {
		for1, for2 := message{1001, "for 1"}, message{1002, "for 2"} // with PIDs as types
		q, p := inBoth(for1, for2)
		Expect(take(q, 1001, 1)).To(Equal([]message{for1}))
		Expect(take(q, 1002, 1)).To(Equal([]message{for2}))
		Expect(fetch(p, 1)).To(Equal([]message{for2}), "whichever client asks")
	})
})

// What follows for a protocol whose responses are FAILURE, DATA and END.
var _ = Describe(compares+"the end of a file", func() {
	const failure, data, end = 1, 2, 3 // as types of the baseline

	It("delivers END last with type 0, whatever its number", func() {
		for _, number := range []int{1, end, 1000} {
			file := []message{{data, "one"}, {data, "two"}, {number, ""}}
			q, _ := inBoth(file...)
			Expect(take(q, 0, 3)).To(Equal(file))
		}
	})

	It("delivers END last with a negative type if END is the highest type", func() {
		file := []message{{data, "one"}, {data, "two"}, {end, ""}}
		q, _ := inBoth(file...)
		Expect(take(q, -end, 3)).To(Equal(file))
		send(q, message{data, "one"}, message{1, ""})
		Expect(take(q, -end, 2)).To(Equal([]message{{1, ""}, {data, "one"}}), "an END of a lower type overtakes")
	})

	It("delivers END before DATA over a POSIX queue if its priority is higher", func() {
		_, p := inBoth(message{data, "one"}, message{data, "two"}, message{end, ""})
		Expect(fetch(p, 3)).To(Equal([]message{{end, ""}, {data, "one"}, {data, "two"}}))
	})

	It("delivers END last over a POSIX queue if its priority is the lowest", func() {
		const end = data - 1
		_, p := inBoth(message{data, "one"}, message{data, "two"}, message{end, ""})
		Expect(fetch(p, 3)).To(Equal([]message{{data, "one"}, {data, "two"}, {end, ""}}))
	})

	It("delivers FAILURE before the DATA that waits, as the lowest type and as a higher priority", func() {
		q, p := inBoth(message{data, "one"})
		send(q, message{failure, "read error"})
		Expect(take(q, -end, 1)).To(Equal([]message{{failure, "read error"}}))
		post(p, message{data + 1, "read error"})
		Expect(fetch(p, 1)).To(Equal([]message{{data + 1, "read error"}}))
	})
})
