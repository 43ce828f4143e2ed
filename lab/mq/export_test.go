package mq

// What the tests look at from outside, and nothing else does.

// Pending counts the registrations that have not ended, Sockets the netlink sockets that serve them.
func Pending() int {
	notifications.mu.Lock()
	defer notifications.mu.Unlock()
	return len(notifications.pending)
}

func Sockets() int {
	notifications.mu.Lock()
	defer notifications.mu.Unlock()
	return len(notifications.sockets)
}
