package main

import "sync"

// bufferSize is how much of a file a transfer reads at a time, in bytes. It holds a request as well.
const bufferSize = 64 << 10

// A client that has emptied its queue by the end of a read sleeps, and to wake it costs as much as to send several
// messages. So transfers whose clients keep up read more at a time, though no more than the processor's cache still has
// when it is sent. They are few, and bounded, since there are not processors for more.
const (
	largeBufferSize = 384 << 10
	largeBuffers    = 4
)

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

// buffers are those that are used again.
type buffers struct {
	sync.Pool              // of *[]byte, bufferSize each
	large     chan *[]byte // nil for one that has not been needed yet
}

func newBuffers() *buffers {
	b := &buffers{large: make(chan *[]byte, largeBuffers)}
	b.New = func() any { return newBuffer(bufferSize) }
	for range largeBuffers {
		b.large <- nil
	}
	return b
}

// first returns the buffer of a transfer's first read, for a whole number of messages. The caller gives it back with
// next or with release.
func (b *buffers) first(msgSize int) *[]byte {
	if msgSize > bufferSize {
		return newBuffer(min(msgSize, maxBufferSize))
	}
	return whole(b.Get().(*[]byte), msgSize)
}

// next returns the buffer of the next read in place of the one before.
func (b *buffers) next(before *[]byte, msgSize int, keepsUp bool) *[]byte {
	isLarge := cap(*before) == largeBufferSize
	if msgSize > bufferSize || isLarge == keepsUp {
		return before
	}
	if !keepsUp {
		b.release(before)
		return b.first(msgSize)
	}
	select {
	case buf := <-b.large:
		if buf == nil {
			buf = newBuffer(largeBufferSize)
		}
		b.release(before)
		return whole(buf, msgSize)
	default:
		return before
	}
}

func (b *buffers) release(buf *[]byte) {
	*buf = (*buf)[:cap(*buf)]
	switch len(*buf) {
	case bufferSize:
		b.Put(buf)
	case largeBufferSize:
		select {
		case b.large <- buf:
		default: // one for a client's long messages, which happens to have that size
		}
	}
}

func whole(buf *[]byte, msgSize int) *[]byte {
	*buf = (*buf)[:cap(*buf)/msgSize*msgSize]
	return buf
}
