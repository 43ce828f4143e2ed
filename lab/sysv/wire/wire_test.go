package wire_test

import (
	"testing"

	"daemonlab/lab/sysv/wire"
)

// A Failure must find room beside all the data that a queue can hold.
func TestPieceSizeLeavesRoom(t *testing.T) {
	for _, c := range []struct{ maxBytes, msgMax, want int }{
		{16384, 8192, 8064}, {65536, 8192, 8192}, {16384, 100, 100}, {512, 8192, 128},
	} {
		if got := wire.PieceSize(c.maxBytes, c.msgMax); got != c.want || 2*got+wire.FailureSize > c.maxBytes {
			t.Errorf("%d bytes for %+v", got, c)
		}
	}
}
