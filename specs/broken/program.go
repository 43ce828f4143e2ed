package broken

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"daemonlab/specs/rubric"
)

// Program is a server or a client, usually a correct one changed by a patch.
type Program struct {
	Name     string // of the patch, without .patch
	Fault    string
	Kills    []string // rows that it must fail
	May      []string // rows that it fails in some runs only
	Program  string   // "server" or "client"
	Language string   // "go" or "c", or a directory of languages
	Root     bool     // shows its fault only when root starts it

	patch  []byte
	source string // if there is no patch: file of a wild program, or directory of one in another language
}

// Load reads all patches of a directory.
func Load(dir string) ([]Program, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var programs []Program
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		p, err := Parse(strings.TrimSuffix(filepath.Base(file), ".patch"), content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// Languages returns the programs written from the contract alone, sharing no line with the reference or the C solution:
// a server and a client per directory. They must fail nothing.
func Languages(dir string) (programs []Program, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		language := e.Name()
		if compilers[language] == "" {
			return nil, fmt.Errorf("%s: nobody knows what builds it", filepath.Join(dir, language))
		}
		for _, program := range []string{"server", "client"} {
			programs = append(programs, Program{
				Name: "correct-" + language + "-" + program, Fault: "none: written in another language.",
				Program: program, Language: language, source: filepath.Join(dir, language),
			})
		}
	}
	return programs, nil
}

// Wild returns the wild programs, which must fail, no matter which rows.
func Wild(dir string) (programs []Program, err error) {
	for _, suffix := range []string{".go", ".c"} {
		files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), suffix)
			program, _, _ := strings.Cut(name, "-")
			if program != "server" && program != "client" {
				return nil, fmt.Errorf("%s: its name begins with neither server- nor client-", file)
			}
			programs = append(programs, Program{Name: name, Program: program, Language: suffix[1:], source: file})
		}
	}
	return programs, nil
}

// Parse reads a patch with its head. A line of the head that begins with a space continues the previous one.
func Parse(name string, content []byte) (Program, error) {
	p := Program{Name: name, Program: "server", Language: "go", patch: content}
	head, diff, ok := strings.Cut(string(content), "\n--- ")
	if !ok {
		return p, fmt.Errorf("there is no diff in it")
	}
	if strings.HasPrefix(diff, "a/lab/c/") {
		p.Language = "c"
	}
	for _, source := range []string{"a/client/", "a/lab/c/mqfile.c", "a/lab/c/output.c"} {
		if strings.HasPrefix(diff, source) {
			p.Program = "client"
		}
	}
	for line := range strings.Lines(strings.ReplaceAll(head, "\n ", " ")) {
		if strings.HasPrefix(line, "diff --git ") || strings.HasPrefix(line, "index ") {
			continue // from git diff
		}
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if err := p.set(key, strings.TrimSpace(value)); err != nil {
			return p, err
		}
	}
	if p.Fault == "" {
		return p, fmt.Errorf("no line `Fault:`")
	}
	for _, id := range slices.Concat(p.Kills, p.May) {
		if !slices.Contains(p.Rows(), id) {
			return p, fmt.Errorf("%q is no row of the rubric for a %s", id, p.Program)
		}
	}
	return p, nil
}

func (p *Program) set(key, value string) error {
	switch key {
	case "Fault":
		p.Fault = strings.Join(strings.Fields(value), " ")
	case "Kills":
		if value != "none" {
			p.Kills = strings.Fields(value)
		}
	case "May":
		p.May = strings.Fields(value)
	case "Needs":
		if p.Root = value == "root"; !p.Root {
			return fmt.Errorf("line Needs says %q, it can only be root", value)
		}
	case "":
	default:
		return fmt.Errorf("unknown line %q", key)
	}
	return nil
}

// Rows returns the ids of the rows that apply to the program, or those of them that are named.
func (p *Program) Rows(named ...string) (ids []string) {
	for _, row := range rubric.Standard() {
		wanted := len(named) == 0 || slices.Contains(named, row.ID)
		if wanted && (row.Step == rubric.ClientStep) == (p.Program == "client") {
			ids = append(ids, row.ID)
		}
	}
	return ids
}
