package intake

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// Refused is a reason not to take what was handed in.
type Refused struct{ Why rubric.Text }

func (r *Refused) Error() string { return r.Why.EN }

// bounds are of one submission or class.
type bounds struct {
	bytes, ratio int64 // bytes in all, and for each byte of an archive
	read         int64 // bytes of tars: what lies between the files, and what is passed over, also takes time
	files, depth int
}

var (
	submissionBounds = bounds{bytes: 64 << 20, read: 128 << 20, ratio: 200, files: 10_000, depth: 40}
	classBounds      = bounds{bytes: 8 << 30, read: 16 << 30, ratio: 200, files: 500_000, depth: 42}
)

// grace is what may come of any archive, however small: some sources are mostly blanks.
const grace = 1 << 20

var isArchive = regexp.MustCompile(`(?i)\.(zip|tar|tgz|tbz2?|txz|tzst|7z|rar|tar\.(gz|bz2|xz|zst))$`)

// unpacker writes below one directory, through which no name and no link leads out (os.Root).
type unpacker struct {
	root    *os.Root
	all     bounds
	left    bounds
	junk    bool   // is unpacked, too: in a class it has its verdict
	archive string // that is being unpacked
	skipped []string
}

// take puts a part of an item in its place.
func (u *unpacker) take(p part) error {
	info, err := os.Lstat(p.from)
	if err != nil {
		return err
	}
	if !info.IsDir() && isArchive.MatchString(p.to) {
		return u.file(p.from, ".")
	}
	from, err := os.OpenRoot(filepath.Dir(p.from))
	if err != nil {
		return err
	}
	defer from.Close()
	return filepath.WalkDir(p.from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := ""
		if info.Mode().Type() == fs.ModeSymlink {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		name := filepath.Join(p.to, path[len(p.from):])
		return u.put(name, info, target, func() (io.ReadCloser, error) {
			return from.Open(filepath.Join(filepath.Base(p.from), path[len(p.from):]))
		})
	})
}

// put makes one file. It counts bytes as they come: the size in an archive's header may be a lie.
func (u *unpacker) put(name string, info fs.FileInfo, target string, open func() (io.ReadCloser, error)) error {
	clean := filepath.Clean(name)
	if !filepath.IsLocal(clean) || strings.Contains(clean, "\x00") {
		return refuse(finding.Say("the archive contains the path %q, which leads out of it", name))
	}
	if clean == "." || strings.HasPrefix(clean, "__MACOSX") ||
		!u.junk && slices.ContainsFunc(strings.Split(clean, "/"), isJunk) {
		return nil
	}
	tooLong := len(clean) > unix.PathMax/2 // leaves room for where it lies, here and in a cage
	if u.left.files--; u.left.files < 0 || strings.Count(clean, "/") > u.left.depth || tooLong {
		return refuse(finding.Say("more than %d files, or folders nested too deeply", u.all.files))
	}
	if err := u.root.MkdirAll(filepath.Dir(clean), 0o755); err != nil {
		return leadsOut(name, err)
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		return leadsOut(name, u.root.MkdirAll(clean, 0o755))
	case fs.ModeSymlink:
		return leadsOut(name, u.root.Symlink(target, clean))
	case 0:
	default:
		u.skipped = append(u.skipped, name)
		return nil
	}
	file, err := u.root.OpenFile(clean, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o600)
	if err != nil {
		return leadsOut(name, err)
	}
	defer file.Close()
	from, err := open()
	if err != nil {
		return err
	}
	defer from.Close()
	n, err := io.Copy(file, io.LimitReader(from, u.left.bytes+1))
	if u.left.bytes -= n; u.left.bytes < 0 {
		return u.tooLarge()
	}
	return errors.Join(err, file.Close(), u.root.Chtimes(clean, info.ModTime(), info.ModTime()))
}

// leadsOut blames the name for an error, unless it is the machine's.
func leadsOut(name string, err error) error {
	if err == nil || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) {
		return err
	}
	if errors.Is(err, unix.ENAMETOOLONG) {
		return refuse(finding.Say("%q cannot be unpacked: the name is too long", name))
	}
	return refuse(finding.Say("%q cannot be unpacked: it is in the archive twice, or goes through a link", name))
}

func refuse(why rubric.Text) error { return &Refused{why} }

func (u *unpacker) tooLarge() error {
	return refuse(finding.Say("its files take more than %d MiB, or far more than an archive of its size can hold", u.all.bytes>>20))
}

// archives unpacks the archives below a directory, each into the folder that it is in, and removes them.
func (u *unpacker) archives(dir string) (any bool, err error) {
	found, err := regular(dir)
	found = slices.DeleteFunc(found, func(file string) bool { return !isArchive.MatchString(file) || isHiddenPath(file) })
	for _, file := range found {
		to := filepath.Dir(file)
		if len(found) > 1 {
			to = isArchive.ReplaceAllString(file, "")
		}
		if err == nil {
			err = errors.Join(u.file(filepath.Join(dir, file), to), u.root.Remove(file))
		}
	}
	return len(found) > 0, err
}

// programs decompress what the standard library does not know, or make a tar of it (libarchive).
var programs = []struct {
	magic   string
	command []string
}{
	{"\xfd7zXZ", []string{"xz", "-dc"}},
	{"\x28\xb5\x2f\xfd", []string{"zstd", "-dc"}},
	{"7z\xbc\xaf\x27\x1c", []string{"bsdtar", "-cf", "-", "@-"}},
	{"Rar!", []string{"bsdtar", "-cf", "-", "@-"}},
}

// file unpacks an archive, of the kind that its beginning tells.
func (u *unpacker) file(path, to string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	u.archive = filepath.Base(path)
	all := u.left.bytes
	u.left.bytes = min(all, grace+u.left.ratio*info.Size())
	granted := u.left.bytes
	defer func() { u.left.bytes = all - (granted - u.left.bytes) }()
	begin := make([]byte, 8)
	n, _ := file.ReadAt(begin, 0)
	begin = begin[:n]
	for _, p := range programs {
		if bytes.HasPrefix(begin, []byte(p.magic)) {
			return u.by(p.command, file, to)
		}
	}
	var stream io.Reader = file
	switch {
	case bytes.HasPrefix(begin, []byte("PK")):
		return u.zip(file, info.Size(), to)
	case bytes.HasPrefix(begin, []byte("\x1f\x8b")):
		if stream, err = gzip.NewReader(file); err != nil {
			return u.broken(err)
		}
	case bytes.HasPrefix(begin, []byte("BZh")):
		stream = bzip2.NewReader(file)
	}
	return u.tar(stream, to)
}

func (u *unpacker) broken(err error) error {
	return refuse(finding.Say("the archive %q cannot be read: %s; hand in a .zip or a .tar.gz", u.archive, err.Error()))
}

// by has a program read the archive, as nobody where root grades: it parses what a stranger wrote.
func (u *unpacker) by(command []string, file *os.File, to string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = file
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil { // the submission is as good as any: it is this machine that cannot read it
		return fmt.Errorf("unpack %q: %w", filepath.Base(file.Name()), err)
	}
	err = u.tar(out, to)
	var rest error
	if err == nil {
		_, rest = io.CopyN(io.Discard, out, grace)
	}
	if rest != io.EOF { // it may have more than was wanted of it
		cmd.Process.Kill()
	}
	if waitErr := cmd.Wait(); rest == io.EOF && waitErr != nil { // what is cut can look whole
		return u.broken(fmt.Errorf("%s: %w", command[0], waitErr))
	}
	return err
}

// bounded reads a tar as far as the bounds allow.
type bounded struct {
	*unpacker
	from io.Reader
}

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left.read -= int64(n); b.left.read < 0 {
		return 0, b.tooLarge()
	}
	return n, err
}

func (u *unpacker) tar(from io.Reader, to string) error {
	archive := tar.NewReader(bounded{u, from})
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return u.archiveFault(err)
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(archive), nil }
		switch header.Typeflag {
		case tar.TypeLink: // a copy, by way of the first, which no folder can be: EISDIR
			open = func() (io.ReadCloser, error) {
				first, err := u.root.OpenFile(join(to, header.Linkname), os.O_RDWR, 0)
				return first, leadsOut(header.Linkname, err)
			}
		case tar.TypeXGlobalHeader: // git archive
			continue
		}
		if err := u.put(join(to, header.Name), header.FileInfo(), header.Linkname, open); err != nil {
			return u.archiveFault(err)
		}
	}
}

// join keeps a name that leads out: filepath.Join would not.
func join(to, name string) string {
	if to == "." || !filepath.IsLocal(name) {
		return name
	}
	return filepath.Join(to, name)
}

func (u *unpacker) zip(file *os.File, size int64, to string) error {
	archive, err := zip.NewReader(file, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return u.broken(err)
	}
	for _, f := range archive.File {
		if f.Flags&1 != 0 {
			return refuse(finding.Say("the archive %q is encrypted: hand it in without a password", u.archive))
		}
		name := f.Name
		if f.CreatorVersion>>8 == 0 { // of Windows, where some write its separator
			name = strings.ReplaceAll(name, `\`, "/")
		}
		target := ""
		if f.Mode().Type() == fs.ModeSymlink {
			if target, err = readLink(f); err != nil {
				return u.broken(err)
			}
		}
		if err := u.put(join(to, name), f.FileInfo(), target, f.Open); err != nil {
			return u.archiveFault(err)
		}
	}
	return nil
}

func readLink(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, unix.PathMax))
	return string(target), err
}

// archiveFault blames the archive for an error of reading it, but not for one of writing files.
func (u *unpacker) archiveFault(err error) error {
	var own *fs.PathError
	if r := new(Refused); errors.As(err, &r) || errors.As(err, &own) {
		return err
	}
	return u.broken(err)
}

// removeBuilt removes programs and object files: what is judged is what building makes.
func (u *unpacker) removeBuilt(dir string) (removed []string) {
	files, _ := regular(dir)
	for _, name := range files {
		file, err := u.root.Open(name)
		if err != nil {
			continue
		}
		begin := make([]byte, 8)
		n, _ := io.ReadFull(file, begin)
		file.Close()
		if IsBuilt(begin[:n]) && u.root.Remove(name) == nil {
			removed = append(removed, name)
		}
	}
	return removed
}

const nobody = 65534
