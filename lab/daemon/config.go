//lab:give

package daemon

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The configuration passes to the daemon in a sealed memfd: the environment would be inherited by programs that the
// daemon starts, and both it and the arguments are there for everybody to read in /proc.
const (
	configMagic = "daemon configuration\n"
	configSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
)

// sealedConfig writes a configuration to a new memfd that nobody can change any more. The caller closes it.
func sealedConfig(config []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("daemon-config", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "daemon-config")
	if _, err := f.WriteString(configMagic + string(config)); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, configSeals); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	return f, nil
}

// inheritedConfig reads and closes the configuration that the original left at its place. Something else at that number
// is a descriptor of the starter's, and the process is an original: ok is false. An error means a daemon that cannot go
// on.
func inheritedConfig() (config []byte, ok bool, err error) {
	if seals, err := unix.FcntlInt(configFD, unix.F_GET_SEALS, 0); err != nil || seals != configSeals {
		return nil, false, nil
	}
	content, err := io.ReadAll(io.NewSectionReader(memfd(configFD), 0, 1<<20))
	if err != nil {
		return nil, false, err
	}
	config, ok = bytes.CutPrefix(content, []byte(configMagic))
	if ok {
		unix.Close(configFD)
	}
	return config, ok, nil
}

// memfd reads a descriptor without owning it, as an os.File would.
type memfd int

func (fd memfd) ReadAt(b []byte, offset int64) (int, error) {
	n, err := unix.Pread(int(fd), b, offset)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}
