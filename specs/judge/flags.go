package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"daemonlab/lab/tool"
	"daemonlab/lab/version"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

const usageEN = `usage: scripts/specs [flags]

Judges a server and a client against the lab's contract.

  --server BIN   the server (default: the one built here)
  --client BIN   the client (default: the one built here)
  --id ID        judge this row only; may be repeated
  --step N       judge the rows of this step only; may be repeated
  --next         go step by step and stop at the first that fails
  --verbose      show every failed row in full, with what /proc and the logs say
  --json FILE    also write the result as JSON
  --stream       print only JSON: a line when a row begins, and one when it has been judged
  --lang es      everything in Spanish
  --jobs N       rows judged at a time (default 4)
  --watch        judge again after each build, failed rows first, until Ctrl-C
  --list         list the rows
  --version      print the release
  --help         print this text

Exit status: 0 all passed, 1 some failed, 2 the suite itself could not run.

examples:
  scripts/specs
  scripts/specs --id rearm
  scripts/specs --watch --step 7
  scripts/specs --server /elsewhere/mqfiled --client /elsewhere/mqfile
`

const usageES = `uso: scripts/specs [opciones]

Comprueba un servidor y un cliente según el contrato de la práctica.

  --server BIN   el servidor (por omisión, el que se compila aquí)
  --client BIN   el cliente (por omisión, el que se compila aquí)
  --id ID        solo esta prueba; puede repetirse
  --step N       solo las pruebas de este paso; puede repetirse
  --next         va paso a paso, y se para en el primero que falla
  --verbose      muestra entera cada prueba que falla, con lo que dicen /proc y los logs
  --json FILE    escribe además el resultado como JSON
  --stream       solo escribe JSON: una línea cuando empieza cada prueba y otra cuando acaba
  --jobs N       pruebas a la vez (por omisión, 4)
  --watch        lo repite después de cada compilación, primero lo que falló, hasta Ctrl-C
  --list         enumera las pruebas
  --version      escribe la versión
  --help         este texto

Estado de salida: 0 todo bien, 1 algo falla, 2 las pruebas no han podido ejecutarse.

ejemplos:
  scripts/specs
  scripts/specs --id rearm
  scripts/specs --watch --step 7
  scripts/specs --server /otro/sitio/mqfiled --client /otro/sitio/mqfile
`

type options struct {
	server, client  string
	suite, launcher string
	ids             []string
	steps           []int
	json, lang      string
	jobs            int
	list            bool
	watch, stream   bool
	verbose, next   bool
	sources, build  string // with watch: the command that builds the programs from the directory
}

func parseFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("specs", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.server, "server", "", "")
	f.StringVar(&o.client, "client", "", "")
	f.StringVar(&o.suite, "suite", "", "")
	f.StringVar(&o.launcher, "launcher", "", "")
	f.Func("id", "", func(id string) error { o.ids = append(o.ids, id); return nil })
	f.Func("step", "", func(s string) error {
		n, err := strconv.Atoi(s)
		o.steps = append(o.steps, n)
		return err
	})
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.lang, "lang", "en", "")
	f.IntVar(&o.jobs, "jobs", 4, "")
	f.BoolVar(&o.watch, "watch", false, "")
	f.StringVar(&o.sources, "sources", "", "")
	f.StringVar(&o.build, "build", "", "")
	f.BoolVar(&o.list, "list", false, "")
	f.BoolVar(&o.stream, "stream", false, "")
	f.BoolVar(&o.verbose, "verbose", false, "")
	f.BoolVar(&o.next, "next", false, "")
	which := f.Bool("version", false, "")
	err := f.Parse(args)
	usage := finding.Usage(f, rubric.Text{EN: usageEN, ES: usageES})
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return o, err
	case err == nil && *which:
		fmt.Print(version.Line("specs"))
		return o, flag.ErrHelp
	case err == nil && f.NArg() > 0:
		err = errors.New(finding.Say("unexpected argument %q", f.Arg(0)).In(o.lang))
	case err == nil && o.lang != "en" && o.lang != "es":
		err = errors.New(finding.Say("--lang %s: must be en or es", o.lang).In(o.lang))
	case err == nil && o.jobs < 1:
		err = errors.New(finding.Say("--jobs must be at least 1").In(o.lang))
	}
	if err != nil {
		return o, errors.New(tool.UsageError(err, o.lang))
	}
	o.verbose = o.verbose || len(o.ids) > 0
	if o.list {
		return o, nil
	}
	return o, o.findPrograms()
}

// findPrograms takes programs not named on the command line from this program's directory, where the script builds
// them.
func (o *options) findPrograms() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, program := range []struct {
		path *string
		name string
	}{{&o.server, "mqfiled"}, {&o.client, "mqfile"}, {&o.suite, "specs.test"}, {&o.launcher, "launch"}} {
		if *program.path == "" {
			*program.path = filepath.Join(filepath.Dir(self), program.name)
		}
		path, err := exec.LookPath(*program.path)
		if err != nil {
			return errors.New(finding.Words(err).In(o.lang))
		}
		if *program.path, err = filepath.Abs(path); err != nil {
			return err
		}
	}
	return nil
}

// choose returns the rows asked for, all if none is named.
func (o *options) choose(all []rubric.Row) ([]rubric.Row, error) {
	for _, id := range o.ids {
		if _, ok := rubric.Find(all, id); !ok {
			return nil, errors.New(finding.Say("no row %q; see --list", id).In(o.lang))
		}
	}
	if len(o.ids) == 0 && len(o.steps) == 0 {
		return all, nil
	}
	var chosen []rubric.Row
	for _, r := range all {
		if slices.Contains(o.ids, r.ID) || slices.Contains(o.steps, r.Step) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New(finding.Say("no row of step %d; see --list", o.steps[0]).In(o.lang))
	}
	return chosen, nil
}
