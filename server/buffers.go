package main

import "sync"

const (
	// bufferSize is how much of a file is read at a time, in bytes. It holds a request as well.
	bufferSize = 64 << 10
	// maxBufferSize bounds what a client's message size can make the server allocate. Longer messages are not filled.
	maxBufferSize = 1 << 20
	// bufferOffset keeps buffers off the beginning of a page. The kernel puts a message's bytes 48 behind one, and some
	// processors take a copy between equal offsets in a page for an overlapping one (4K aliasing).
	bufferOffset = 64
)

// bufferPool recycles read buffers.
type bufferPool struct{ pool *sync.Pool }

func newBufferPool() bufferPool {
	return bufferPool{&sync.Pool{New: func() any { return newBuffer(bufferSize) }}}
}

func newBuffer(size int) *[]byte {
	b := make([]byte, bufferOffset+size)[bufferOffset:]
	return &b
}

// get returns a buffer for a whole number of messages.
func (p bufferPool) get(msgSize int) *[]byte {
	if msgSize > bufferSize {
		return newBuffer(min(msgSize, maxBufferSize))
	}
	b := p.pool.Get().(*[]byte)
	*b = (*b)[:bufferSize/msgSize*msgSize]
	return b
}

func (p bufferPool) put(b *[]byte) {
	if cap(*b) == bufferSize {
		p.pool.Put(b)
	}
}
