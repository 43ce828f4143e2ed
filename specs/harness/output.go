package harness

import (
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// maxOutput bounds what is kept of what a client writes, in bytes. It is more than a spec has it write.
const maxOutput = 1 << 20

// capped keeps the first maxOutput bytes that are written to it and drops the rest.
type capped []byte

func (c *capped) Write(p []byte) (int, error) {
	*c = append(*c, p[:min(len(p), maxOutput-len(*c))]...)
	return len(p), nil
}

// errorPipe is the stderr of a program that leaves a daemon. Until the program has ended nobody reads the pipe: one that
// writes more than fits in, which is a thousand times the line that it may write, stands still and fills no disk.
type errorPipe struct {
	reader, writer *os.File
}

func newErrorPipe(cmd *exec.Cmd) (p errorPipe, err error) {
	p.reader, p.writer, err = os.Pipe()
	cmd.Stderr = p.writer
	return p, err
}

func (p errorPipe) close() {
	p.reader.Close()
	p.writer.Close()
}

// text is what is in the pipe when the program has ended. A daemon may have kept the pipe open, and must neither stand
// still nor get SIGPIPE for it, so all that comes later is read away.
func (p errorPipe) text() string {
	p.writer.Close()
	var text []byte
	buf := make([]byte, 64<<10)
	for n := 1; n > 0; {
		n = p.read(buf)
		text = append(text, buf[:n]...)
		if len(text) >= len(buf) {
			break
		}
	}
	go func() {
		io.Copy(io.Discard, p.reader)
		p.reader.Close()
	}()
	return string(text)
}

// read reads what is there, without waiting; 0 is the end as well as nothing.
func (p errorPipe) read(buf []byte) (n int) {
	conn, err := p.reader.SyscallConn()
	if err != nil {
		return 0
	}
	conn.Read(func(fd uintptr) bool {
		n, _ = unix.Read(int(fd), buf)
		return true
	})
	return max(n, 0)
}
