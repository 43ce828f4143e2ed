package intake

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

// Guess is what is wrong with the form of a submission, and a command for a shell in its folder that builds it as it was
// probably meant; empty if nothing can be guessed.
type Guess struct {
	Why rubric.Text
	As  string
}

// Build is what the lab's statement says, by language.
var Build = map[string]string{
	"c":  "make",
	"go": "go build -o bin/mqfiled ./server; server=$?; go build -o bin/mqfile ./client && exit $server",
}

// The names that people give the programs.
var (
	serverName = regexp.MustCompile(`(?i)mqfiled|serv|daemon|demonio`)
	clientName = regexp.MustCompile(`(?i)mqfile([^d]|$)|client`)
)

// gather is a command that takes the programs from wherever building has left them.
func gather(dir string) string {
	const found = ` -type f -perm -100 ! -name '*.*' `
	return "mkdir -p bin; [ -e bin/mqfiled ] || find " + dir + found +
		`\( -iname '*mqfiled*' -o -iname '*serv*' -o -iname '*d*mon*' \) -exec cp {} bin/mqfiled \; ; ` +
		"[ -e bin/mqfile ] || find " + dir + found + `\( -name mqfile -o -iname '*client*' \) -exec cp {} bin/mqfile \;`
}

// Unbuildable says of a submission without one program, to be built in one of the contract's ways, what it has instead.
func (h Handed) Unbuildable() []Guess {
	if len(h.Roots) > 1 {
		var all []Guess
		why := finding.Say("there are %d programs, in %s: which one is it?", len(h.Roots), list(h.Roots))
		for _, root := range h.Roots {
			build := Build[Language(filepath.Join(h.Dir, root))]
			all = append(all, Guess{why, "top=$PWD; cd " + Quote(root) + "; (" + build + "); cp -r bin \"$top\""})
		}
		return all
	}
	files := h.files()
	for _, system := range []struct{ file, name, build string }{
		{"CMakeLists.txt", "CMake", "cmake -S %s -B /tmp/b && cmake --build /tmp/b; "},
		{"meson.build", "Meson", "meson setup /tmp/b %s && ninja -C /tmp/b; "},
	} {
		for _, file := range files { // the uppermost comes first
			if filepath.Base(file) == system.file {
				build := strings.ReplaceAll(system.build, "%s", Quote(filepath.Dir(file)))
				return []Guess{{finding.Say("%s is for %s: add a Makefile that uses it to make bin/mqfiled and "+
					"bin/mqfile", file,
					system.name), build + gather("/tmp/b")}}
			}
		}
	}
	if with(files, ".go") != nil {
		return []Guess{{finding.Say("there is Go code without a go.mod: make one with go mod init"),
			"go mod init lab && " + h.goBuild()}}
	}
	if sources := with(files, ".c"); sources != nil {
		gcc := "gcc -pthread" + includes(files)
		return []Guess{{finding.Say("there is C code without a Makefile: add one that makes bin/mqfiled and bin/mqfile"),
			"mkdir -p bin; " + gcc + link("bin/mqfiled", sources, clientName) + "; " + gcc + link("bin/mqfile", sources, serverName)}}
	}
	if h.Removed != nil {
		return []Guess{{Why: finding.Say("there is no source, only compiled files: %s", list(h.Removed))}}
	}
	if len(files) > 0 {
		return []Guess{{Why: finding.Say("there is neither a Makefile nor a go.mod, only %s", list(files))}}
	}
	return []Guess{{Why: finding.Say("there is no file in it")}}
}

// includes are the folders of headers.
func includes(files []string) (options string) {
	var folders []string
	for _, header := range with(files, ".h") {
		folders = append(folders, filepath.Dir(header))
	}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		options += " -I" + Quote(folder)
	}
	return options
}

// link makes a program of all sources but those that are by their name the other's.
func link(program string, sources []string, other *regexp.Regexp) string {
	own := slices.DeleteFunc(slices.Clone(sources), func(file string) bool { return other.MatchString(base(file)) })
	for i, file := range own {
		own[i] = Quote(file)
	}
	return " -o " + program + " " + strings.Join(own, " ") + " -lrt"
}

func base(file string) string { return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) }

// Built is what came of building.
type Built struct {
	Missing  []string // of bin/mqfiled and bin/mqfile
	Programs []string // that were made in other places
	Exit     int
	Output   string
}

var (
	newerGo     = regexp.MustCompile(`requires go >= ([0-9.]+) \(running go ([0-9]+\.[0-9]+)`)
	noModule    = regexp.MustCompile(`module lookup disabled by GOPROXY=off|missing go.sum entry|inconsistent vendoring|no required module provides|updates to go.mod needed`)
	cannotLoad  = regexp.MustCompile("version `(.+)' not found|(\\S+) => not found")
	readByBuild = regexp.MustCompile(`^(GNUm|[Mm])akefile$|^go\.mod$|\.mk$`)
	mainPackage = regexp.MustCompile(`(?m)^package main\b`)
	target      = regexp.MustCompile(`(?m)^([A-Za-z0-9_./-]+)[ \t]*:([^=]|$)`)
)

const byteOrderMark = "\ufeff"

// Misbuilt says why building did not leave the programs where they belong, as far as that is the form's fault.
func (h Handed) Misbuilt(b Built) *Guess {
	build := Build[h.Language]
	for _, guess := range []func(Built, string) *Guess{h.modules, h.wide, h.lineEnds, h.removed, h.libraries, h.inPlace, h.elsewhere, h.goElsewhere, h.otherTarget} {
		if g := guess(b, build); g != nil {
			return g
		}
	}
	return nil
}

func (h Handed) modules(b Built, build string) *Guess {
	if m := newerGo.FindStringSubmatch(b.Output); m != nil {
		return &Guess{finding.Say("go.mod requires Go %s, and this machine has %s: lower the version in its "+
			"\"go\" line", m[1], m[2]),
			"go mod edit -go=" + m[2] + " -toolchain=none && { " + build + "; }"}
	}
	if noModule.MatchString(b.Output) {
		return &Guess{Why: finding.Say("go.mod needs modules that are not here, and there is no network: add them with go mod tidy and go mod vendor")}
	}
	return nil
}

// wide finds files in UTF-16, in which some editors of Windows save text.
func (h Handed) wide(b Built, build string) *Guess {
	var bad []string
	for _, file := range h.files() {
		content, err := os.ReadFile(filepath.Join(h.Dir, file))
		if err == nil && (bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff"))) &&
			(readByBuild.MatchString(filepath.Base(file)) || slices.Contains([]string{".c", ".h", ".go", ".sh"}, filepath.Ext(file))) {
			bad = append(bad, Quote(file))
		}
	}
	if bad == nil || b.Exit == 0 {
		return nil
	}
	return &Guess{finding.Say("UTF-16, which no compiler reads, in %s: save it as UTF-8", list(bad)),
		"for f in " + strings.Join(bad, " ") + `; do iconv -f UTF-16 -t UTF-8 "$f" >/tmp/u && tr -d '\r' </tmp/u >"$f"; done && { ` + build + "; }"}
}

// lineEnds looks for byte order marks, and for Windows' ends of lines where the output shows that they matter: make and go
// know them, the shell and the kernel do not.
func (h Handed) lineEnds(b Built, build string) *Guess {
	var bad []string
	for _, file := range h.files() {
		content, err := os.ReadFile(filepath.Join(h.Dir, file))
		marked, content := bytes.HasPrefix(content, []byte(byteOrderMark)), bytes.TrimPrefix(content, []byte(byteOrderMark))
		script := bytes.HasPrefix(content, []byte("#!")) || filepath.Ext(file) == ".sh"
		if err != nil || !script && !readByBuild.MatchString(filepath.Base(file)) {
			continue
		}
		shown := strings.Contains(b.Output, "\r") || strings.Contains(b.Output, "missing separator") ||
			script && strings.Contains(b.Output, filepath.Base(file))
		if marked || shown && bytes.Contains(content, []byte("\r\n")) {
			bad = append(bad, Quote(file))
		}
	}
	if bad == nil || b.Exit == 0 {
		return nil
	}
	return &Guess{finding.Say("Windows line endings (CRLF) or a byte order mark in %s: save it as UTF-8 with Unix "+
		"line endings",
		list(bad)), `sed -i '1s/^\xef\xbb\xbf//; s/\r$//' ` + strings.Join(bad, " ") + " && { " + build + "; }"}
}

func (h Handed) removed(b Built, _ string) *Guess {
	for _, file := range h.Removed {
		if strings.Contains(b.Output, filepath.Base(file)) {
			return &Guess{Why: finding.Say("the build needs %s, which was handed in compiled and was removed: hand in its source", file)}
		}
	}
	return nil
}

// libraries finds programs that were built for another machine, with a newer libc for example, and only copied here.
func (h Handed) libraries(b Built, _ string) *Guess {
	m := cannotLoad.FindStringSubmatch(b.Output)
	if m == nil {
		return nil
	}
	return &Guess{Why: finding.Say("what was built cannot run here, because %s is missing: it comes from another "+
		"system; have make build it from source", m[1]+m[2])}
}

// inPlace finds scripts that were handed in where building is to make the programs.
func (h Handed) inPlace(b Built, _ string) *Guess {
	found := slices.DeleteFunc(slices.Clone(b.Missing), func(program string) bool {
		_, err := os.Lstat(filepath.Join(h.Dir, program))
		return err != nil
	})
	if len(found) == 0 {
		return nil
	}
	return &Guess{Why: finding.Say("removed before the build, which must make them: %s; hand in scripts elsewhere "+
		"and have make copy them to bin", list(found))}
}

// elsewhere finds programs of other names.
func (h Handed) elsewhere(b Built, build string) *Guess {
	as, found := "("+build+"); mkdir -p bin", []string{}
	for _, missing := range b.Missing {
		own, other := serverName, clientName
		if missing == "bin/mqfile" {
			own, other = clientName, serverName
		}
		like := slices.DeleteFunc(slices.Clone(b.Programs), func(p string) bool {
			return !own.MatchString(base(p)) || other.MatchString(base(p))
		})
		if len(like) == 0 && len(b.Programs) == 1 && len(b.Missing) == 1 {
			like = b.Programs
		}
		if len(like) > 0 {
			found = append(found, like[0])
			as += "; cp " + Quote(like[0]) + " " + missing
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &Guess{finding.Say("there is no %s, but there is %s: use the contract's names", list(b.Missing),
		list(found)), as}
}

// goElsewhere finds main packages in other folders than ./server and ./client.
func (h Handed) goElsewhere(b Built, _ string) *Guess {
	if h.Language != "go" || !strings.Contains(b.Output, "directory not found") {
		return nil
	}
	as := h.goBuild()
	if as == "" {
		return nil
	}
	return &Guess{finding.Say("no %s: the main packages belong in ./server and ./client", list(b.Missing)), as}
}

// goBuild builds the main packages that have names like the programs'.
func (h Handed) goBuild() string {
	var commands []string
	for _, file := range with(h.files(), ".go") {
		content, _ := os.ReadFile(filepath.Join(h.Dir, file))
		if strings.HasSuffix(file, "_test.go") || !mainPackage.Match(content) {
			continue
		}
		folder, program := filepath.Dir(file), ""
		switch {
		case serverName.MatchString(folder):
			program = "bin/mqfiled"
		case clientName.MatchString(folder):
			program = "bin/mqfile"
		default:
			continue
		}
		commands = append(commands, "go build -o "+program+" "+Quote("./"+folder))
	}
	slices.Sort(commands)
	return strings.Join(slices.Compact(commands), "; ")
}

// otherTarget finds targets that make would not make by itself.
func (h Handed) otherTarget(b Built, _ string) *Guess {
	var makefile []byte
	for _, name := range []string{"Makefile", "makefile", "GNUmakefile"} { // make takes the last
		if slices.Contains(h.files(), name) {
			makefile, _ = os.ReadFile(filepath.Join(h.Dir, name))
		}
	}
	var likely []string
	for i, m := range target.FindAllSubmatch(makefile, -1) {
		name := string(m[1])
		if i > 0 && !strings.HasPrefix(name, ".") && filepath.Ext(name) == "" &&
			(name == "all" || name == "build" || serverName.MatchString(name) || clientName.MatchString(name)) {
			likely = append(likely, Quote(name))
		}
	}
	if likely == nil {
		return nil
	}
	return &Guess{finding.Say("make without arguments does not build %s: have its first target build it", list(b.Missing)),
		"make -k " + strings.Join(likely, " ") + "; " + gather(".")}
}

// files are those that somebody wrote, the uppermost first.
func (h Handed) files() []string {
	all, _ := regular(h.Dir)
	all = slices.DeleteFunc(all, isHiddenPath)
	slices.SortStableFunc(all, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	return all
}

func with(files []string, extension string) (found []string) {
	for _, file := range files {
		if filepath.Ext(file) == extension {
			found = append(found, file)
		}
	}
	return found
}

const listed = 4

// list names some of many.
func list(names []string) string {
	more := ""
	if len(names) > listed {
		names, more = names[:listed], ", ..."
	}
	return finding.Escape(strings.Join(names, ", "), "") + more
}

// Quote makes one word of a shell of any text.
func Quote(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:@%", r)
	}) && text[0] != '-' {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
