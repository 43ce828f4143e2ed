package main

// bufferSize is how much of a file is read at a time, in bytes. A client that has emptied its queue by the end of a read
// sleeps, and to wake it costs as much as to send several messages; so reads are few and long. Yet the piece is to be in
// the processor's cache still when it is sent. It holds a request as well.
const bufferSize = 128 << 10

// maxBufferSize bounds what a client's message size can make the server allocate. Where the system allows longer
// messages they are not filled.
const maxBufferSize = 1 << 20

// bufferOffset keeps buffers off the beginning of a page, where Go puts them. The kernel puts a message 48 bytes behind
// one, and a processor that tells addresses apart by their place in a page only (4K aliasing) takes what it copies from
// a page's beginning for what it has just written: a long transfer then takes a tenth more time.
const bufferOffset = 64

func newBuffer(size int) *[]byte {
	b := make([]byte, bufferOffset+size)[bufferOffset:]
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
