package main

// bufferSize is how much of a file is read at a time, in bytes: several messages, to save calls, yet little enough
// that the piece is still in the processor's cache when it is sent. It holds a request as well.
const bufferSize = 64 << 10

// maxBufferSize bounds what a client's message size can make the server allocate. Where the system allows longer
// messages they are not filled.
const maxBufferSize = 1 << 20

func newBuffer(size int) *[]byte {
	b := make([]byte, size)
	return &b
}

// buffer returns a buffer of a whole number of messages. The caller gives it back with release.
func (s *server) buffer(msgSize int) *[]byte {
	if msgSize > bufferSize {
		return newBuffer(min(msgSize, maxBufferSize))
	}
	buf := s.buffers.Get().(*[]byte)
	*buf = (*buf)[:bufferSize/msgSize*msgSize]
	return buf
}

func (s *server) release(buf *[]byte) {
	if cap(*buf) == bufferSize {
		*buf = (*buf)[:bufferSize]
		s.buffers.Put(buf)
	}
}
