package main

import "sync"

// bufferSize is how much of a file is read at a time, in bytes, where messages are not longer. A request fits, too.
const bufferSize = 64 << 10

type buffer [bufferSize]byte

// buffers are those to use again.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

// messages is room for a whole number of messages.
func (b *buffer) messages(size int) []byte {
	if size > bufferSize {
		return make([]byte, size)
	}
	return b[:bufferSize/size*size]
}
