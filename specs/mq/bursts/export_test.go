package bursts

// What the tests look at from outside, and nothing else does.

var (
	NewLedger = newLedger
	Encode    = encode
)

// Enter is what the server does with a message that it has received.
func (l *ledger) Enter(msg []byte, prio uint) error { return l.enter(msg, prio) }
