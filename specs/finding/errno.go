package finding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"daemonlab/lab/mq"
	"daemonlab/specs/rubric"
)

// Failure is an error with texts in both languages.
type Failure struct {
	Text rubric.Text
	Err  error // the sentinel, for errors.Is
}

// Failed makes a Failure of a sentinel.
func Failed(err error, text string, args ...any) error {
	return &Failure{Say(text, args...), err}
}

func (f *Failure) Error() string { return f.Text.EN }
func (f *Failure) Unwrap() error { return f.Err }

// Words returns the text of an error. Go and the kernel speak English: an errno's text is replaced by the Spanish
// locale's.
func Words(err error) rubric.Text {
	if err == nil {
		return rubric.Text{EN: "no error", ES: "sin error"}
	}
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return failure.Text
	}
	if program := (*exec.Error)(nil); errors.As(err, &program) {
		if errors.Is(err, exec.ErrNotFound) {
			return rubric.Text{EN: fmt.Sprintf("cannot run %q: it is not on the PATH; a file in this directory is ./%s", program.Name, program.Name),
				ES: fmt.Sprintf("no se puede ejecutar %q: no está en el PATH; un fichero de este directorio es ./%s", program.Name, program.Name)}
		}
		reason := unix.ENOENT
		errors.As(err, &reason)
		return rubric.Text{EN: fmt.Sprintf("cannot run %q: %v", program.Name, reason),
			ES: fmt.Sprintf("no se puede ejecutar %q: %s", program.Name, Words(reason).ES)}
	}
	text := Say("%s", err.Error())
	if queue := (*mq.Error)(nil); errors.As(err, &queue) {
		text.ES = fmt.Sprintf("cola %q: %s", queue.Name, ofQueue(queue))
		return text
	}
	if known := spanish[err.Error()]; known != "" {
		text.ES = known
	}
	if errors.Is(err, context.DeadlineExceeded) {
		text.ES = strings.ReplaceAll(text.ES, context.DeadlineExceeded.Error(), "se acabó el tiempo")
	}
	if errno := unix.Errno(0); errors.As(err, &errno) && strerror[errno] != "" {
		text.ES = strings.ReplaceAll(text.ES, errno.Error(), strerror[errno])
	}
	return text
}

// ofQueue explains why a call on a queue failed.
func ofQueue(err *mq.Error) string {
	switch {
	case err.Timeout():
		return "se acabó el tiempo"
	case errors.Is(err, unix.ENOENT):
		return "no existe"
	case errors.Is(err, unix.EMFILE):
		return "no queda sitio para más colas de este usuario (RLIMIT_MSGQUEUE)"
	case errors.Is(err, unix.ENOSPC):
		return "no caben más colas en el sistema (queues_max)"
	case errors.Is(err, unix.EAGAIN) && err.Op == "send":
		return "está llena"
	case errors.Is(err, unix.EAGAIN):
		return "está vacía"
	}
	errno := unix.Errno(0)
	errors.As(err, &errno)
	return cmp.Or(strerror[errno], errno.Error())
}

// strerror has strerror(3)'s Spanish texts of the errnos that specs meet.
var strerror = map[unix.Errno]string{
	unix.EPERM: "operación no permitida", unix.ENOENT: "no existe el fichero o el directorio", unix.ESRCH: "no existe el proceso",
	unix.EINTR: "llamada al sistema interrumpida", unix.EIO: "error de entrada/salida", unix.EBADF: "descriptor de fichero erróneo",
	unix.EAGAIN: "recurso no disponible temporalmente", unix.ENOMEM: "no se pudo asignar memoria", unix.EACCES: "permiso denegado",
	unix.EBUSY: "dispositivo o recurso ocupado", unix.EEXIST: "el fichero ya existe", unix.ENOTDIR: "no es un directorio",
	unix.EISDIR: "es un directorio", unix.EINVAL: "argumento inválido", unix.ENFILE: "demasiados ficheros abiertos en el sistema",
	unix.EMFILE: "demasiados ficheros abiertos", unix.EFBIG: "fichero demasiado grande", unix.ENOSPC: "no queda espacio",
	unix.EPIPE: "tubería rota", unix.ENAMETOOLONG: "nombre demasiado largo", unix.ENOSYS: "función no implementada",
	unix.ELOOP: "demasiados niveles de enlaces simbólicos", unix.EMSGSIZE: "mensaje demasiado largo", unix.ETIMEDOUT: "se agotó el tiempo",
	unix.ENOEXEC: "formato de ejecutable incorrecto", unix.ETXTBSY: "el fichero de texto está ocupado", unix.ECHILD: "no hay procesos hijos",
}
