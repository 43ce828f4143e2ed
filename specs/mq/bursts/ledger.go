package bursts

import (
	"encoding/binary"
	"fmt"
)

// A message carries its sender, its priority, and its sequence number within that priority.
const messageSize = 8

func encode(sender, prio int, number uint32) []byte {
	b := make([]byte, messageSize)
	binary.NativeEndian.PutUint16(b, uint16(sender))
	binary.NativeEndian.PutUint16(b[2:], uint16(prio))
	binary.NativeEndian.PutUint32(b[4:], number)
	return b
}

// ledger knows the next message due from each sender at each priority. A message lost, duplicated or reordered shows
// up as one that is not due.
type ledger struct {
	received int
	due      [][]uint32 // [sender][priority]
}

func newLedger(l Load) ledger {
	due := make([][]uint32, l.Senders)
	for i := range due {
		due[i] = make([]uint32, l.Priorities)
	}
	return ledger{due: due}
}

func (l *ledger) enter(msg []byte, prio uint) error {
	if len(msg) != messageSize {
		return fmt.Errorf("a message of %d bytes", len(msg))
	}
	sender, number := int(binary.NativeEndian.Uint16(msg)), binary.NativeEndian.Uint32(msg[4:])
	if uint(binary.NativeEndian.Uint16(msg[2:])) != prio || sender >= len(l.due) || prio >= uint(len(l.due[sender])) {
		return fmt.Errorf("nobody sent % x with priority %d", msg, prio)
	}
	if due := l.due[sender][prio]; number != due {
		return fmt.Errorf("sender %d, priority %d: message %d came, %d was due", sender, prio, number, due)
	}
	l.due[sender][prio]++
	l.received++
	return nil
}
