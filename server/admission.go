package main

import "daemonlab/lab/wire"

// admit gives the transfer its place in its user's share. Without one its request is held back, or refused.
func (t *transfer) admit() bool {
	if t.reply.user != nil {
		return true
	}
	uid, err := t.reply.owner()
	if err == nil {
		t.request.PID = t.reply.pid
		t.reply.user, err = t.server.shares.enterOrHold(uid, t.request)
	}
	switch {
	case err != nil:
		t.end(err)
	case t.reply.user == nil:
		t.close()
		t.server.free(nil)
	}
	return err == nil && t.reply.user != nil
}

// free gives a slot back, or hands it on, with its place in the share, to the user's next request.
func (s *server) free(u *user) {
	if u != nil {
		if next, ok := s.shares.leave(u); ok {
			go s.serveHeld(next, u)
			return
		}
	}
	<-s.slots
}

// serveHeld serves a request that was held back. Its PID names a client that lived when it came, or is 0.
func (s *server) serveHeld(r wire.Request, u *user) {
	if r.PID != watchable(r.PID) {
		s.drop(r, errClientGone)
		s.free(u)
		return
	}
	s.serve(r, u, nil)
}
