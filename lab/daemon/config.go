//lab:give

package daemon

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// The configuration is passed to the daemon in a sealed memfd: programs that the daemon starts would inherit the
// environment, and everybody can read both environment and arguments in /proc.
const (
	configMagic = "daemon configuration\n"
	configMax   = 1 << 20 // bytes, magic included
	configSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
)

// sealedConfig writes a configuration to a new memfd that nobody can change any more. The caller closes it.
func sealedConfig(config []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("daemon-config", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "daemon-config")
	if _, err = f.WriteString(configMagic + string(config)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, configSeals)
		err = os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// inheritedConfig reads and closes the configuration that the original left at its number. ok is false in an original,
// where that number is free or a descriptor of the starter's. An error means a daemon that cannot continue.
func inheritedConfig() (config []byte, ok bool, err error) {
	if seals, err := unix.FcntlInt(configFD, unix.F_GET_SEALS, 0); err != nil || seals != configSeals {
		return nil, false, nil
	}
	content := make([]byte, configMax)
	n, err := unix.Pread(configFD, content, 0)
	if err != nil {
		return nil, false, os.NewSyscallError("pread", err)
	}
	config, ok = bytes.CutPrefix(content[:n], []byte(configMagic))
	if ok {
		unix.Close(configFD)
	}
	return config, ok, nil
}
