package mq

// For the tests only.

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
