package cage

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// systemDirs are visible in every cage, read-only, with the mounts below them.
var systemDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// systemFiles are the parts of /etc that the dynamic linker and Debian's compiler names need.
var systemFiles = []string{"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"}

var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// Sizes of a cage's writable file systems, all in memory.
const (
	sizeOfRoot       = "size=1m,mode=755"
	sizeOfTemporary  = "size=512m,nr_inodes=100k,mode=1777"
	sizeOfSubmission = "size=256m,nr_inodes=50k,mode=755"
	sizeOfRun        = "size=16m,nr_inodes=1k,mode=755"
	sizeOfLayer      = "size=1g,nr_inodes=100k,mode=755"
)

const (
	guarded  = unix.MS_NOSUID | unix.MS_NODEV
	readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
)

// build makes the cage's file system and enters it. It contains no file of the machine that is not named here.
func (o orders) build() error {
	for _, step := range []func() error{
		o.mountRoot, o.bindSystem, o.writeAccounts, o.makeDevices, o.mountOwn, o.mountShares, o.enter, o.closeNamespaces,
		leaveKeyrings,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (o orders) at(path string) string { return filepath.Join(o.Root, path) }

func (o orders) mountRoot() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return mount("cage", o.Root, "tmpfs", guarded, sizeOfRoot)
}

func (o orders) bindSystem() error {
	for _, path := range append(systemDirs, systemFiles...) {
		if err := o.bindAsIs(path); err != nil {
			return err
		}
	}
	return nil
}

// bindAsIs exposes a file, directory or symbolic link of the machine at the same path, if it exists.
func (o orders) bindAsIs(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(path)
		return errors.Join(err, os.Symlink(target, o.at(path)))
	}
	return o.bind(path, path, info.IsDir(), readOnly)
}

// bind bind-mounts a file or directory, with the mounts below it, and adds mount attributes to all of them.
func (o orders) bind(from, to string, dir bool, attributes uint64) error {
	to = o.at(to)
	var err error
	if dir {
		err = os.MkdirAll(to, 0o755)
	} else {
		err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, nil, 0o644))
	}
	if err != nil {
		return err
	}
	if err := mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return setAttributes(to, attributes)
}

func setAttributes(path string, attributes uint64) error {
	err := unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes})
	if err != nil {
		return fmt.Errorf("mount_setattr %s: %w", path, err)
	}
	return nil
}

// writeAccounts makes the accounts that the lab needs; the machine's own stay hidden.
func (o orders) writeAccounts() error {
	users := "root:x:0:0:root:/tmp:/bin/sh\ndaemon:x:1:1:daemon:/:/usr/sbin/nologin\n" +
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	groups := "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n"
	if !o.Mapped {
		users += fmt.Sprintf("user:x:%d:%d:user:/tmp:/bin/sh\n", o.UID, os.Getgid())
	}
	var errs []error
	for name, content := range map[string]string{
		"passwd": users, "group": groups, "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
		"hosts": "127.0.0.1 localhost\n",
	} {
		errs = append(errs, os.WriteFile(o.at("/etc/"+name), []byte(content), 0o644))
	}
	return errors.Join(errs...)
}

func (o orders) makeDevices() error {
	for _, name := range devices {
		if err := o.bind("/dev/"+name, "/dev/"+name, false, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
		"stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, o.at("/dev/"+name)); err != nil {
			return err
		}
	}
	return nil
}

// mountOwn mounts the file systems private to the cage.
func (o orders) mountOwn() error {
	for _, m := range []struct {
		path, kind, data string
		flags            uintptr
	}{
		{"/proc", "proc", "", guarded | unix.MS_NOEXEC},
		{"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620", unix.MS_NOSUID | unix.MS_NOEXEC},
		{"/dev/mqueue", "mqueue", "", guarded | unix.MS_NOEXEC},
		{"/dev/shm", "tmpfs", sizeOfRun, guarded},
		{"/tmp", "tmpfs", sizeOfTemporary, guarded},
		{"/run", "tmpfs", sizeOfRun, guarded},
		{inSubmission, "tmpfs", sizeOfSubmission, guarded},
	} {
		if err := os.MkdirAll(o.at(m.path), 0o755); err != nil {
			return err
		}
		if err := mount("cage", o.at(m.path), m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	return nil
}

func (o orders) mountShares() error {
	for _, s := range o.Shares {
		var err error
		if s.Over {
			err = o.mountOver(s)
		} else {
			err = o.bind(s.From, s.To, true, readOnly)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mountOver mounts an in-memory layer over a shared directory. lowerdir is the working directory, because its path may
// contain overlayfs separators. The upper layer has the first-level directories itself, owned by the cage: in one owned
// by a foreign ID nobody could create a file.
func (o orders) mountOver(s Share) error {
	to := o.at(s.To)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := mount("cage", to, "tmpfs", guarded, sizeOfLayer); err != nil {
		return err
	}
	upper, work := filepath.Join(to, "upper"), filepath.Join(to, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755), os.Chdir(s.From)); err != nil {
		return err
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if err := os.Mkdir(filepath.Join(upper, entry.Name()), 0o755); err != nil {
			return err
		}
	}
	return mount("cage", to, "overlay", guarded, "lowerdir=.,upperdir="+upper+",workdir="+work+",userxattr")
}

// enter makes the tree the root, read-only except for the mounts in it (pivot_root(2), "pivot_root(".", ".")").
func (o orders) enter() error {
	if err := os.Chdir(o.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the machine's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|guarded, "")
}

// closeNamespaces keeps the submission from making namespaces of its own, in which it would have all capabilities
// again. Nothing here depends on it; it only reduces the attack surface. /proc/sys becomes read-only: root in a
// namespace may write the settings of it, and the queue limits decide which specs are skipped.
func (o orders) closeNamespaces() error {
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return err
	}
	if err := mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return errors.Join(fix("/proc/sys"), unix.Sethostname([]byte("cage")))
}

// leaveKeyrings joins a new session keyring: no namespace separates the cage from the grader's, keyrings(7). Some
// containers refuse keyctl(2).
func leaveKeyrings() error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) // anonymous
	if err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("keyctl KEYCTL_JOIN_SESSION_KEYRING: %w", err)
	}
	return nil
}

// fix makes a mount read-only.
func fix(path string) error {
	return setAttributes(path, unix.MOUNT_ATTR_RDONLY)
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", cmp.Or(kind, source), target, err)
	}
	return nil
}
