// Command handout makes a student's folder from the reference: its sources without the parts to be written, the specs
// as programs, the guide and a README.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"daemonlab/lab/tool"
)

const usage = `usage: scripts/handout [--lang en|es] go|c DIR

Makes DIR, a student's folder: server and client in Go or C that build at once, with a TODO for each part to write,
the specs as programs, and the guide. DIR must not exist yet or must be empty.

  --lang en|es   language of README, guide, comments and TODOs (default en)
  --help         this text
`

func main() {
	o, err := parseFlags(os.Args[1:])
	if err != nil {
		os.Exit(tool.UsageStatus(err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err = o.make(ctx)
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "handout: interrupted")
		os.Exit(130)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "handout: %v\n", err)
		os.Exit(1)
	}
	made := map[string]string{"en": "%[1]s: continue with %[1]s/README.md\n", "es": "%[1]s: sigue con %[1]s/README.md\n"}
	fmt.Printf(made[o.lang], o.dir)
}

type options struct {
	project  string // root directory
	language string // "go" or "c"
	lang     string // "en" or "es"
	dir      string
}

func parseFlags(args []string) (o options, err error) {
	f := flag.NewFlagSet("handout", flag.ContinueOnError)
	f.StringVar(&o.project, "project", ".", "")
	f.StringVar(&o.lang, "lang", "en", "")
	err = tool.Parse(f, args, usage, func() error {
		others, err := tool.Rest(f)
		switch {
		case err != nil:
			return err
		case len(others) != 2:
			return errors.New("name go or c, and a directory")
		}
		o.language, o.dir = others[0], others[1]
		switch {
		case o.language != "go" && o.language != "c":
			return fmt.Errorf("%q is neither go nor c", o.language)
		case o.lang != "en" && o.lang != "es":
			return fmt.Errorf("--lang %s: must be en or es", o.lang)
		}
		return nil
	})
	return o, err
}

// make builds the folder in a temporary directory next to it and renames it when it is complete.
func (o options) make(ctx context.Context) error {
	if entries, err := os.ReadDir(o.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty", o.dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".handout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	files, _, err := o.files()
	if err != nil {
		return err
	}
	if err := write(work, files); err != nil {
		return err
	}
	if err := o.buildSpecs(ctx, filepath.Join(work, "specs")); err != nil {
		return err
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	if err := commit(ctx, work); err != nil {
		return err
	}
	return os.Rename(work, dir)
}

// commit makes the folder a git repository with one commit, so that students can see their own changes. Without git
// there is none.
func commit(ctx context.Context, dir string) error {
	if _, err := exec.LookPath("git"); err != nil {
		return nil
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "-A"},
		{"-c", "user.name=handout", "-c", "user.email=", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "handout"},
	} {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}
