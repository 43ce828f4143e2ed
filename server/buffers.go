package main

import "sync"

// bufferSize is how much of a file is read at a time, in bytes, unless messages are longer. It holds any request too.
const bufferSize = 64 << 10

type buffer [bufferSize]byte

// buffers recycles read buffers.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

// messages returns room for a whole number of messages of the given size.
func (b *buffer) messages(size int) []byte {
	if size > bufferSize {
		return make([]byte, size)
	}
	return b[:bufferSize/size*size]
}
