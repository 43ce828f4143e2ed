package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"daemonlab/lab/tool"
	"daemonlab/specs/finding"
	"daemonlab/specs/rubric"
)

const usageEN = `usage: scripts/trace [flags] -- COMMAND [ARGUMENT]...

Runs a server, in any language, and draws what it does on its way to becoming a
daemon, as the kernel sees it: a lane for each process, time downwards, the
system calls that matter with the step of the lab that each belongs to, and what
is wrong marked with !!. A step is judged as the specs judge it, from what /proc
shows when the start is over; the calls show how it came about. Then sends the
server a few requests, shows how its threads receive and answer them, ends it, and
removes its queues and PID files.

The server is started as the specs start one: files open at descriptors up to
1023, signals ignored and blocked, umask 077, junk in the environment, a
controlling terminal. A program that opens no queue is judged only as a daemon,
and is sent no requests.

  --html FILE     also write the picture as a page
  --lang es       everything in Spanish
  --daemon-only   the program uses no queue, or none with this protocol
  --help          this text

Exit status: 0 a daemon, and nothing is marked; 1 something is marked; 2 it
could not be traced.

examples:
  scripts/trace -- bin/mqfiled --root . --queue /x --pidfile /tmp/x.pid --log /tmp/x.log
  scripts/trace --html birth.html -- bin/mqfiled --queue /x --pidfile /tmp/x.pid
`

const usageES = `uso: scripts/trace [opciones] -- ORDEN [ARGUMENTO]...

Ejecuta un servidor, en cualquier lenguaje, y dibuja lo que hace hasta
convertirse en demonio, visto por el núcleo: un carril por proceso, el tiempo
hacia abajo, las llamadas al sistema que importan con el paso de la práctica al
que pertenece cada una, y !! en lo que está mal. Un paso se comprueba como en las
pruebas, por lo que muestra /proc al acabar el arranque; las llamadas muestran qué
llevó a ello. Después envía al servidor unas peticiones, muestra cómo las recogen y
las responden sus hilos, lo termina y borra sus colas y sus ficheros de PID.

El servidor se lanza como lo lanzan las pruebas: ficheros abiertos en descriptores
hasta el 1023, señales ignoradas y bloqueadas, umask 077, variables que sobran en el
entorno, un terminal de control. Un programa que no abre ninguna cola solo se
comprueba como demonio, y no recibe peticiones.

  --html FICHERO  escribe además el dibujo como página
  --daemon-only   el programa no usa ninguna cola, o sus colas son cosa suya
  --help          este texto

Estado de salida: 0 es un demonio y no hay ninguna marca; 1 hay alguna marca; 2 no
se ha podido trazar.

ejemplos:
  scripts/trace -- bin/mqfiled --root . --queue /x --pidfile /tmp/x.pid --log /tmp/x.log
  scripts/trace --html birth.html -- bin/mqfiled --queue /x --pidfile /tmp/x.pid
`

type options struct {
	html, lang string
	daemonOnly bool
	command    []string
}

func parseFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("trace", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.html, "html", "", "")
	f.StringVar(&o.lang, "lang", "en", "")
	f.BoolVar(&o.daemonOnly, "daemon-only", false, "")
	err := f.Parse(args)
	o.command = f.Args()
	usage := finding.Usage(f, rubric.Text{EN: usageEN, ES: usageES})
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return o, err
	case err == nil && o.lang != "en" && o.lang != "es":
		err = errors.New(finding.Say("--lang %s: must be en or es", o.lang).In(o.lang))
	case err == nil && len(o.command) == 0:
		err = errors.New(finding.Say("no command to trace").In(o.lang))
	}
	if err != nil {
		err = errors.New(tool.UsageError(err, o.lang))
	}
	return o, err
}
