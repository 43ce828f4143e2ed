// Package intake reads a class as course platforms export it: who handed in which file, where in a submission the
// program is, and how its form deviates from what the lab asks for.
package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3" // gomega brings it

	"daemonlab/specs/finding"
	"daemonlab/specs/grade/class"
	"daemonlab/specs/rubric"
)

// Item is what one student handed in, or something else that lies among the submissions.
type Item struct {
	Name    class.Name
	Student class.Student
	Stray   rubric.Text // what it is, if it can be no submission: a file
	parts   []part
}

// part is a file or folder of an item, and where it belongs below the item's own folder.
type part struct{ from, to string }

var (
	// Moodle: mod/assign/locallib.php, download_submissions(); without folders the names of files follow.
	moodle = regexp.MustCompile(`^(.+)_(\d+)_assignsubmission_(file|onlinetext)(?:_(.*))?$`)
	// Canvas: last name and first in one word, a mark, the numbers of the user and of the attachment.
	canvas     = regexp.MustCompile(`^([^_]+)_(?:LATE_)?(\d+)_(\d+)_(.+)$`)
	gradescope = regexp.MustCompile(`^submission_(\d+)$`)
	// Google Classroom has one folder in Drive for what all have attached (its API's Assignment.studentWorkFolder), and no
	// documented names in it: each file or folder is taken for a submission of its name.
)

const gradescopeMetadata = "submission_metadata.yml"

// junk is what systems leave behind where somebody has only looked.
var junk = []string{"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}

// isJunk reports whether a name is one of these, or that of a file in which a Mac keeps attributes of another.
func isJunk(name string) bool { return slices.Contains(junk, name) || strings.HasPrefix(name, "._") }

// isNobodys reports whether a name is that of junk, or of what git keeps, which a build may read.
func isNobodys(name string) bool { return name == ".git" || isJunk(name) }

// Class returns what is in a folder of submissions, without the results if they go there, or in an archive of one, which it
// unpacks into an empty directory.
func Class(path, results, work string) ([]Item, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		root, err := os.OpenRoot(work)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		u := unpacker{root: root, all: classBounds, left: classBounds, junk: true}
		if err := u.file(path, "."); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		path = inner(work)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	students, err := readGradescope(filepath.Join(path, gradescopeMetadata))
	if err != nil {
		return nil, err
	}
	attachments := map[string]int{} // Canvas gives each a number of its own
	for _, entry := range entries {
		if m := canvas.FindStringSubmatch(entry.Name()); m != nil && !isNobodys(entry.Name()) {
			attachments[m[3]]++
		}
	}
	var items []Item
	for _, entry := range entries {
		from := filepath.Join(path, entry.Name())
		if from == results || entry.Name() == gradescopeMetadata && students != nil {
			continue
		}
		item := recognize(entry, students, attachments)
		item.parts[0].from = from
		same := func(i Item) bool { return i.Name == item.Name }
		if i := slices.IndexFunc(items, same); i >= 0 {
			items[i].parts, items[i].Student = append(items[i].parts, item.parts...), item.Student
			continue
		}
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return items, nil
}

// inner is the folder that holds the submissions: the only one in the archive, unless it is itself a submission.
func inner(dir string) string {
	entries, err := os.ReadDir(dir)
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return isNobodys(e.Name()) })
	if err != nil || len(entries) != 1 || !entries[0].IsDir() || moodle.MatchString(entries[0].Name()) {
		return dir
	}
	only := filepath.Join(dir, entries[0].Name())
	if Language(only) != "" {
		return dir
	}
	return only
}

func recognize(entry fs.DirEntry, students map[string]class.Student, attachments map[string]int) Item {
	name := entry.Name()
	item := Item{Name: class.Name(name), parts: []part{{to: "."}}}
	if isNobodys(name) {
		item.Stray = finding.Say("not a submission: it belongs to the system or to git")
		return item
	}
	if m := moodle.FindStringSubmatch(name); m != nil {
		item.Student = class.Student{Platform: "moodle", Name: m[1], ID: m[2]}
		item.Name = class.Name(m[1] + "_" + m[2] + "_assignsubmission_file_")
		if m[3] == "onlinetext" {
			item.parts[0].to = m[3]
		}
		if m[4] != "" {
			item.parts[0].to = m[4]
		}
		return item
	}
	if m := canvas.FindStringSubmatch(name); m != nil && entry.Type().IsRegular() && attachments[m[3]] == 1 {
		item.Student = class.Student{Platform: "canvas", Name: m[1], ID: m[2]}
		item.Name, item.parts[0].to = class.Name(m[1]+"_"+m[2]), m[4]
		return item
	}
	if m := gradescope.FindStringSubmatch(name); m != nil && students != nil {
		item.Student = students[name]
		item.Student.Platform, item.Student.ID = "gradescope", m[1]
	}
	switch {
	case entry.IsDir():
	case !entry.Type().IsRegular():
		item.Stray = finding.Say("not a submission: neither a file nor a folder")
	case !isArchive.MatchString(name):
		item.Stray = finding.Say("not a submission: a file")
	default:
		item.parts[0].to = name
	}
	return item
}

// readGradescope reads who has handed in what, or returns nil where it is not Gradescope's.
func readGradescope(file string) (map[string]class.Student, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, nil
	}
	var of map[string]struct {
		Submitters []struct {
			Name string `yaml:":name"`
		} `yaml:":submitters"`
	}
	if err := yaml.Unmarshal(content, &of); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	students := map[string]class.Student{}
	for folder, submission := range of {
		var names []string // several of a group
		for _, by := range submission.Submitters {
			names = append(names, by.Name)
		}
		students[folder] = class.Student{Name: strings.Join(names, ", ")}
	}
	return students, nil
}

// Hash changes with any byte of what was handed in that a build can see, with what of it may be executed, and with the
// command that builds it.
func (i Item) Hash(as string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", as)
	for _, p := range i.parts {
		fmt.Fprintf(h, "%q\n", p.to)
		err := filepath.WalkDir(p.from, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if isJunk(entry.Name()) && path != p.from {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			executable := entry.Type() == 0 && info.Mode()&0o111 != 0 // the other bits are a copy's: of who has made it
			fmt.Fprintf(h, "%q %v %v\n", path[len(p.from):], entry.Type(), executable)
			switch entry.Type() {
			case fs.ModeSymlink:
				target, err := os.Readlink(path)
				fmt.Fprintf(h, "%q\n", target)
				return err
			case 0:
				return hashFile(h, path)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(h io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	n, err := io.Copy(h, file)
	fmt.Fprintf(h, "\n%d\n", n)
	return err
}

// Handed is what was found in what somebody handed in.
type Handed struct {
	Dir      string   // the program's; where none or several were found, all of it
	Below    string   // where in what was handed in the program is
	Roots    []string // all folders with a program
	Language string   // "go", or "c", which stands for whatever make builds; empty if there is not one program
	Removed  []string // programs and object files
	Skipped  []string // devices and the like
}

const nested = 3 // archives in archives

// Unpack makes the item's files in an empty directory, those of archives also, and finds the program. An error that is a
// [Refused] is the submission's fault.
func (i Item) Unpack(dir string) (h Handed, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return h, err
	}
	defer root.Close()
	u := unpacker{root: root, all: submissionBounds, left: submissionBounds}
	for _, p := range i.parts {
		if err := u.take(p); err != nil {
			return h, err
		}
	}
	for level, more := 0, true; more; level++ {
		if h.Roots, err = roots(dir); err != nil {
			return h, err
		}
		if len(h.Roots) > 0 || level == nested {
			break
		}
		if more, err = u.archives(dir); err != nil {
			return h, err
		}
	}
	h.Dir, h.Removed, h.Skipped = dir, u.removeBuilt(dir), u.skipped
	if len(h.Roots) == 1 {
		h.Below = h.Roots[0]
		h.Dir = filepath.Join(dir, h.Below)
		h.Language = Language(h.Dir)
	}
	return h, nil
}

// regular are the regular files below a folder, by their paths in it. No link is followed: it could lead to a device,
// or to what is not the submission's.
func regular(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	return files, err
}

// isHiddenPath reports whether a file is nobody's work by its name or that of a folder that it is in.
func isHiddenPath(file string) bool { return slices.ContainsFunc(strings.Split(file, "/"), isHidden) }

// isHidden reports whether a file or folder of this name is nobody's work.
func isHidden(name string) bool {
	return strings.HasPrefix(name, ".") || isJunk(name)
}

// roots are the uppermost folders with a Makefile or a go.mod.
func roots(dir string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if path != dir && isHidden(entry.Name()) {
			return fs.SkipDir
		}
		if Language(path) == "" {
			return nil
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		found = append(found, below)
		return fs.SkipDir
	})
	return found, err
}

// Language is that of the program in a folder; empty if it is built in none of the contract's ways.
func Language(dir string) string {
	for _, of := range []struct{ file, language string }{
		{"Makefile", "c"}, {"makefile", "c"}, {"GNUmakefile", "c"}, {"go.mod", "go"},
	} {
		if info, err := os.Stat(filepath.Join(dir, of.file)); err == nil && info.Mode().IsRegular() {
			return of.language
		}
	}
	return ""
}

// built are the beginnings of what compilers and linkers make: ELF, an archive of objects, Mach-O, PE.
var built = []string{"\x7fELF", "!<arch>\n", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe", "MZ\x90\x00"}

// IsBuilt reports whether a file with these first bytes is a program or an object file.
func IsBuilt(begin []byte) bool {
	return slices.ContainsFunc(built, func(magic string) bool { return bytes.HasPrefix(begin, []byte(magic)) })
}
