package sysv_test

import (
	"math"
	"math/rand/v2"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"daemonlab/lab/sysv"
)

// What msgrcv's type selects, and what priorities can do of that.
var _ = Describe("types and priorities", func() {
	history := []message{{2, "first"}, {1, "second"}, {3, "third"}, {1, "fourth"}}

	It("takes the oldest message with type 0, where mq_receive takes the highest priority", func() {
		q, p := newSysV(), newPOSIX()
		send(q, history...)
		post(p, history...)
		Expect(takeAll(q, 0, 4)).To(Equal(history))
		Expect(fetchAll(p, 4)).To(Equal([]message{{3, "third"}, {2, "first"}, {1, "second"}, {1, "fourth"}}))
	})

	It("keeps the order of arrival with type 0 over POSIX queues too, if all priorities are the same", func() {
		p := newPOSIX()
		for _, m := range history {
			post(p, message{0, m.text})
		}
		for _, m := range history {
			Expect(fetch(p).text).To(Equal(m.text))
		}
	})

	It("takes one type with a positive number and leaves the rest, which no priority can", func() {
		q, p := newSysV(), newPOSIX()
		send(q, history...)
		post(p, history...)
		Expect(takeAll(q, 1, 2)).To(Equal([]message{{1, "second"}, {1, "fourth"}}))
		Expect(noMessage(q, 1, 0)).To(MatchError(unix.ENOMSG))
		Expect(status(q).Messages).To(Equal(2))
		Expect(fetch(p).kind).To(Equal(3), "whoever wants priority 1 has to take the others first")
	})

	It("takes the lowest type first with a negative number, as priorities turned round do", func() {
		const highest = 9
		q, p := newSysV(), newPOSIX()
		for range 200 {
			var bySelector, byPriority []message
			for i := range 4 {
				m := message{1 + rand.IntN(highest), string(rune('a' + i))}
				send(q, m)
				post(p, message{highest - m.kind, m.text})
			}
			bySelector = takeAll(q, -highest, 4)
			for _, m := range fetchAll(p, 4) {
				byPriority = append(byPriority, message{highest - m.kind, m.text})
			}
			Expect(byPriority).To(Equal(bySelector))
		}
	})

	It("takes nothing above the limit of a negative number, where mq_receive has no limit", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{5, "later"})
		post(p, message{5, "later"})
		Expect(noMessage(q, -4, 0)).To(MatchError(unix.ENOMSG))
		Expect(take(q, -5, 0)).To(Equal(message{5, "later"}))
		Expect(fetch(p)).To(Equal(message{5, "later"}))
	})

	It("takes anything but one type with MSG_EXCEPT, which no priority can", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{3, "urgent"}, message{2, "other"})
		post(p, message{3, "urgent"}, message{2, "other"})
		Expect(take(q, 3, sysv.Except)).To(Equal(message{2, "other"}))
		Expect(noMessage(q, 3, sysv.Except)).To(MatchError(unix.ENOMSG))
		Expect(fetch(p)).To(Equal(message{3, "urgent"}))
	})

	It("keeps the messages of one type in order, as of one priority", func() {
		q, p := newSysV(), newPOSIX()
		same := []message{{7, "a"}, {7, "b"}, {7, "c"}, {7, "d"}}
		send(q, same...)
		post(p, same...)
		Expect(takeAll(q, 7, 4)).To(Equal(same))
		Expect(fetchAll(p, 4)).To(Equal(same))
	})

	It("has types from 1 to LONG_MAX, and priorities from 0 to 32767", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{1, ""}, message{math.MaxInt, ""})
		Expect(takeAll(q, 0, 2)).To(Equal([]message{{1, ""}, {math.MaxInt, ""}}))
		Expect(q.Send(0, nil, 0)).To(MatchError(unix.EINVAL))
		Expect(q.Send(-1, nil, 0)).To(MatchError(unix.EINVAL))
		post(p, message{0, ""}, message{32767, ""})
		Expect(fetchAll(p, 2)).To(Equal([]message{{32767, ""}, {0, ""}}))
		Expect(p.Send(nil, 32768)).To(MatchError(unix.EINVAL))
	})

	It("serves several clients over one queue, by their types; over POSIX each needs its own", func() {
		const client1, client2 = 1001, 1002 // as PIDs
		q, p := newSysV(), newPOSIX()
		answers := []message{{client1, "for 1"}, {client2, "for 2"}}
		send(q, answers...)
		post(p, answers...)
		Expect(take(q, client1, 0).text).To(Equal("for 1"))
		Expect(take(q, client2, 0).text).To(Equal("for 2"))
		Expect(fetch(p).text).To(Equal("for 2"), "whichever client asks")
	})
})

// What follows for a protocol whose responses are FAILURE, DATA and END.
var _ = Describe("the end of a file", func() {
	const failure, data, end = 1, 2, 3 // as types of the baseline
	file := []message{{data, "one"}, {data, "two"}, {end, ""}}

	It("delivers END last with type 0, whatever its number", func() {
		for _, number := range []int{1, end, 1000} {
			q := newSysV()
			send(q, message{data, "one"}, message{data, "two"}, message{number, ""})
			Expect(takeAll(q, 0, 3)[2]).To(Equal(message{number, ""}))
		}
	})

	It("delivers END last with a negative type if END is the highest type", func() {
		q := newSysV()
		send(q, file...)
		Expect(takeAll(q, -end, 3)).To(Equal(file))
		send(q, message{data, "one"}, message{failure, ""})
		Expect(take(q, -end, 0).kind).To(Equal(failure), "an END with this number would have overtaken DATA")
		take(q, 0, 0)
	})

	It("delivers END before DATA over a POSIX queue if its priority is higher", func() {
		p := newPOSIX()
		post(p, file...) // the baseline's types as priorities, the first idea
		Expect(fetchAll(p, 3)).To(Equal([]message{{end, ""}, {data, "one"}, {data, "two"}}))
	})

	It("delivers END last over a POSIX queue if its priority is the lowest", func() {
		const end, data = 1, 2
		p := newPOSIX()
		post(p, message{data, "one"}, message{data, "two"}, message{end, ""})
		Expect(fetchAll(p, 3)).To(Equal([]message{{data, "one"}, {data, "two"}, {end, ""}}))
	})

	It("delivers FAILURE before the DATA that waits, as the lowest type and as a higher priority", func() {
		q, p := newSysV(), newPOSIX()
		send(q, message{data, "one"}, message{data, "two"}, message{failure, "read error"})
		Expect(take(q, -end, 0)).To(Equal(message{failure, "read error"}))
		const higher = data + 1
		post(p, message{data, "one"}, message{data, "two"}, message{higher, "read error"})
		Expect(fetch(p)).To(Equal(message{higher, "read error"}))
	})
})
