// Package facts has what the contract requires of a daemon's state, as predicates over what /proc shows. The
// specs and the trace judge by it, and the demo prints it.
package facts

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/lab/procfs"
)

// Facts are what /proc shows of a process at one moment. The environment is Live or not known.
type Facts struct {
	Stat        procfs.Stat
	Status      procfs.Status
	Tasks       []procfs.Status
	Descriptors []procfs.Descriptor
	Cwd         string
	Env         procfs.Environment
}

var proc = procfs.New("/proc")

// Of reads the facts of a process.
func Of(pid int) (f Facts, err error) {
	p := proc.Process(pid)
	var errs [5]error
	f.Stat, errs[0] = p.Stat()
	f.Status, errs[1] = p.Status()
	f.Tasks, errs[2] = p.Tasks()
	f.Descriptors, errs[3] = p.Descriptors()
	f.Cwd, errs[4] = p.Cwd()
	if f.Env, err = p.LiveEnviron(); err != nil {
		f.Env = procfs.Environment{} // it is being changed, or nothing tells where it is
	}
	return f, errors.Join(errs[:]...)
}

// Stdio are the descriptors 0, 1 and 2.
const Stdio = 3

// Inherited are the descriptors that lead to a file of the starter's, at any number but those of stdio.
func Inherited(fds []procfs.Descriptor, starters []procfs.FileID) (inherited []procfs.Descriptor) {
	for _, fd := range fds {
		if fd.Number >= Stdio && slices.Contains(starters, fd.ID) {
			inherited = append(inherited, fd)
		}
	}
	return inherited
}

// Ignored are the signals that must not be. SIGPIPE a daemon may ignore itself.
func Ignored(s procfs.Status) procfs.SignalSet {
	return s.SigIgn &^ procfs.NewSignalSet(unix.SIGPIPE)
}

// Junk are the variables that a daemon has no need of.
func Junk(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), mayStay)
}

func mayStay(variable string) bool {
	name, _, ok := strings.Cut(variable, "=")
	return variable == "" || ok && (strings.HasPrefix(name, "LC_") ||
		slices.Contains([]string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}, name))
}

// OwnSession reports whether setsid(2) has been called since the starter's session.
func OwnSession(s procfs.Stat, starters int) bool { return s.Session != starters }

// NoTerminal reports whether there is no controlling terminal.
func NoTerminal(s procfs.Stat) bool { return s.TTY == 0 }

// Null reports whether a descriptor of stdio is as it is to be.
func Null(fd procfs.Descriptor) bool { return fd.IsNull() }

// OpenMask reports whether the umask keeps nothing from the modes of the daemon's files.
func OpenMask(s procfs.Status) bool { return s.Umask == 0 }

// AtRoot reports whether the working directory keeps no file system busy.
func AtRoot(cwd string) bool { return cwd == "/" }

// Is reports whether a thread has the account's identities and no other.
func Is(t procfs.Status, uid, gid int) bool {
	return t.Uid.All(uid) && t.Gid.All(gid) && len(t.Groups) == 0
}

// Powerless reports whether a thread has no capability.
func Powerless(t procfs.Status) bool { return t.CapPrm == 0 && t.CapEff == 0 }

// Registered reports whether the process is registered for notification as the lab wants it.
func Registered(s mq.Status, pid int) bool { return s.Notify == mq.SigevThread && s.NotifyPID == pid }

// PIDFile is a PID file as it is.
type PIDFile struct {
	Content string
	Mode    fs.FileMode
	Locked  bool
}

// PIDFileMode is what anybody may read and nobody else write.
const PIDFileMode fs.FileMode = 0o644

// ReadPIDFile reads a PID file, and whether another process has locked it.
func ReadPIDFile(path string) (f PIDFile, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return f, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	f.Content, f.Mode = string(content), info.Mode()
	f.Locked, err = Locked(path)
	return f, err
}

// Names reports whether the file holds the PID and a newline.
func (f PIDFile) Names(pid int) bool { return f.Content == strconv.Itoa(pid)+"\n" }

// Locked reports whether another process holds a lock on the file, by flock(2) or by fcntl(2). Both are tried, since a
// program may use either; a lock that is got is given back at once.
func Locked(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return true, nil
	case err != nil:
		return false, err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
	return lock.Type != unix.F_UNLCK, err
}
