package cage

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrTooLarge means that a submission's files exceed its limit.
var ErrTooLarge = errors.New("its files are too large")

// PackFile archives the directories, regular files and symbolic links below dir. It follows no link and skips
// everything else. Owners are not kept: inside a cage the first user owns all files.
func PackFile(name, dir string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(pack(file, dir), file.Close())
}

func pack(w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	p := packer{tar: tar.NewWriter(w), dir: dir, root: root, left: maxFiles}
	if err := filepath.WalkDir(dir, p.add); errors.Is(err, unix.ENAMETOOLONG) { // directories nested too deep
		return ErrTooLarge
	} else if err != nil {
		return err
	}
	return p.tar.Close()
}

type packer struct {
	tar  *tar.Writer
	dir  string
	root *os.Root
	left int64 // bytes left
}

// count charges a file as a cage's tmpfs does: whole pages, no holes.
func (p *packer) count(size int64) error {
	const page = 4096
	if p.left -= (size + page - 1) / page * page; p.left < 0 {
		return ErrTooLarge
	}
	return nil
}

func (p *packer) add(path string, entry fs.DirEntry, err error) error {
	if err != nil || path == p.dir {
		return err
	}
	path, err = filepath.Rel(p.dir, path)
	if err != nil {
		return err
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: path, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatGNU}
	switch info.Mode().Type() {
	case fs.ModeDir:
		header.Typeflag, header.Mode = tar.TypeDir, header.Mode|0o700
		return p.tar.WriteHeader(header)
	case fs.ModeSymlink:
		header.Typeflag = tar.TypeSymlink
		if header.Linkname, err = p.root.Readlink(path); err != nil {
			return err
		}
		return errors.Join(p.count(int64(len(header.Linkname))), p.tar.WriteHeader(header))
	case 0:
		return p.addFile(path, header)
	}
	return nil
}

// addFile packs the size found after opening, no more: the file may be growing.
func (p *packer) addFile(path string, header *tar.Header) error {
	file, err := p.root.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := p.count(info.Size()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := p.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.CopyN(p.tar, file, header.Size)
	return err
}

// UnpackFile extracts an archive below dir, and nothing outside it.
func UnpackFile(name, dir string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return unpack(file, dir)
}

func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = unpackOne(root, archive, header)
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
}

func unpackOne(root *os.Root, archive io.Reader, header *tar.Header) error {
	path, mode := filepath.Clean(header.Name), fs.FileMode(header.Mode).Perm()
	switch header.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(path, mode|0o700)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, path)
	}
	file, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, archive)
	return errors.Join(err, file.Close(), root.Chtimes(path, header.ModTime, header.ModTime))
}
