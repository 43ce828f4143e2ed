//lab:give

package daemon

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NotifySystemd tells a service manager about the process, as sd_notify(3) does: "READY=1", "STOPPING=1". A new-style
// daemon, which is started in the foreground and never forks, reports this way what [Daemon.Ready] reports. Without
// NOTIFY_SOCKET in the environment it does nothing.
func NotifySystemd(text string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	// Only READY=1, which the manager has to learn, waits for room: a manager that hangs keeps no daemon from ending.
	flags := unix.MSG_DONTWAIT
	if text == "READY=1" {
		flags = 0
	}
	// x/sys takes a leading @ for an abstract socket, as systemd writes it.
	if err := unix.Sendto(fd, []byte(text), flags, &unix.SockaddrUnix{Name: name}); err != nil {
		return fmt.Errorf("notify socket %s: %w", name, err)
	}
	return nil
}
