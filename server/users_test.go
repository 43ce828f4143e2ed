package main_test

import (
	"os"
	"strings"
	"testing"

	"daemonlab/specs/harness"
)

// tiny holds only the beginning of a large file.
var tiny = harness.Shape{Depth: 1, MsgSize: 512}

// asking returns clients that have asked for a file and taken nothing yet.
func asking(t *testing.T, s *harness.Server, n int, path string) (clients []*harness.Client) {
	t.Helper()
	for range n {
		c := client(t, tiny)
		must(t, c.Request(t.Context(), s.Queue, path))
		clients = append(clients, c)
	}
	return clients
}

// finish completes what the clients have asked for, and counts those served and those refused.
func finish(t *testing.T, clients []*harness.Client, path string, size int) (served, refused int) {
	t.Helper()
	for _, c := range clients {
		e, err := c.Finish(t.Context(), path)
		text, failed := e.Failed()
		switch {
		case err == nil && failed && strings.Contains(text, "too many transfers"):
			refused++
		case err == nil && len(e.Content) == size:
			served++
		default:
			t.Errorf("%s: %s, %d bytes, want %d, %v", path, e.Summary(), len(e.Content), size, err)
		}
	}
	return served, refused
}

// mustBeTaken waits until the server has taken all requests.
func mustBeTaken(t *testing.T, s *harness.Server) {
	t.Helper()
	eventually(t, "all requests are taken", func() bool {
		_, attr, err := harness.QueueStatus(s.Queue)
		must(t, err)
		return attr.CurMsgs == 0
	})
}

// These users need no account: only the owner of a reply queue counts.
func TestUsersWhoDoNotReadLeaveRoomForOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a reply queue of another user")
	}
	const size = 64 << 10
	s := start(t, place(t), "--transfers", "16") // of which the first may have 8, the second 4, the third 2
	must(t, s.WriteFile("large", make([]byte, size)))
	must(t, s.WriteFile("small", []byte("x")))
	of := func(uid, n int) (clients []*harness.Client) {
		for range n {
			c := client(t, tiny)
			must(t, c.GiveTo(uid))
			must(t, c.Request(t.Context(), s.Queue, "large"))
			clients = append(clients, c)
			mustBeTaken(t, s)
		}
		return clients
	}
	first, second := of(70001, 10), of(70002, 6)
	for path, length := range map[string]int{"small": 1, "large": size} {
		c := client(t, tiny)
		must(t, c.GiveTo(70003))
		must(t, c.Request(t.Context(), s.Queue, path))
		if served, _ := finish(t, []*harness.Client{c}, path, length); served != 1 {
			t.Errorf("the third user did not get %s", path)
		}
	}
	if served, refused := finish(t, first, "large", size); served != 8 || refused != 2 {
		t.Errorf("the first user: %d served, %d refused", served, refused)
	}
	if served, refused := finish(t, second, "large", size); served != 4 || refused != 2 {
		t.Errorf("the second user: %d served, %d refused", served, refused)
	}
	mustHoldNothing(t, s)
}
