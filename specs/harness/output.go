package harness

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxOutput is how much of a client's output is kept, in bytes: more than any spec makes it write.
const maxOutput = 1 << 20

// capped keeps the first maxOutput bytes written to it and drops the rest.
type capped []byte

func (c *capped) Write(p []byte) (int, error) {
	*c = append(*c, p[:min(len(p), maxOutput-len(*c))]...)
	return len(p), nil
}

// errorPipe is the stderr of a program that leaves a daemon, or of its launcher. Nobody reads the pipe until the
// program has ended: one that writes more than fits, a thousand times its allowed line, blocks and fills no disk.
type errorPipe struct {
	reader, writer *os.File
}

func newErrorPipe() (p errorPipe, err error) {
	p.reader, p.writer, err = os.Pipe()
	return p, err
}

func (p errorPipe) close() {
	p.reader.Close()
	p.writer.Close()
}

// text returns the content of the pipe after the program has ended. A daemon that kept the pipe open must neither block
// nor get SIGPIPE, so later output is read and dropped.
func (p errorPipe) text() string {
	p.writer.Close()
	buf, n := make([]byte, 64<<10), 0 // a pipe's capacity, pipe(7)
	if conn, err := p.reader.SyscallConn(); err == nil {
		conn.Read(func(fd uintptr) bool { // without waiting
			n, _ = unix.Read(int(fd), buf)
			return true
		})
	}
	go func() {
		io.Copy(io.Discard, p.reader)
		p.reader.Close()
	}()
	return string(buf[:max(n, 0)])
}

// Output collects the output of a start by writer: a socket, because the kernel identifies the sender of each piece.
type Output struct {
	reader, writer *os.File
}

func NewOutput() (*Output, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	o := &Output{os.NewFile(uintptr(fds[0]), "output"), os.NewFile(uintptr(fds[1]), "output")}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		o.Close()
		return nil, os.NewSyscallError("setsockopt SO_PASSCRED", err)
	}
	return o, unix.SetNonblock(fds[1], false) // for the program
}

// By returns the unread output of a process.
func (o *Output) By(pid int) (text string) {
	buf, control := make([]byte, 4096), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	conn, err := o.reader.SyscallConn()
	if err != nil {
		return ""
	}
	conn.Read(func(fd uintptr) bool {
		for {
			n, size, _, _, err := unix.Recvmsg(int(fd), buf, control, 0)
			if err != nil || n <= 0 {
				return true
			}
			messages, _ := unix.ParseSocketControlMessage(control[:size])
			for _, m := range messages { // a read never mixes senders, see unix(7)
				if sender, err := unix.ParseUnixCredentials(&m); err == nil && int(sender.Pid) == pid {
					text += string(buf[:n])
				}
			}
		}
	})
	return text
}

func (o *Output) Close() {
	o.reader.Close()
	o.writer.Close()
}
