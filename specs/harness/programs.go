package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the files of what is judged, and of the launcher.
type Programs struct {
	Server   string
	Client   string
	Launcher string
}

// The variables that name programs; what they leave out is built from this module.
const (
	ServerVariable   = "SPECS_SERVER"
	ClientVariable   = "SPECS_CLIENT"
	LauncherVariable = "SPECS_LAUNCHER"
	RowVariable      = "SPECS_ROW"           // not in a flag: programs may read the command lines of others
	OrdersVariable   = "SPECS_LAUNCH_ORDERS" // for the launcher, at each start of a program, separated by spaces
)

// Untrusted reports whether the programs are started with orders that confine them.
func Untrusted() bool {
	return os.Getenv(OrdersVariable) != ""
}

// FindPrograms takes the programs that the environment names and builds the others into dir.
func FindPrograms(dir string) (p Programs, err error) {
	for _, program := range []struct {
		file              *string
		variable, pkg, to string
	}{
		{&p.Server, ServerVariable, "daemonlab/server", "mqfiled"},
		{&p.Client, ClientVariable, "daemonlab/client", "mqfile"},
		{&p.Launcher, LauncherVariable, "daemonlab/specs/launch", "launch"},
	} {
		*program.file, err = find(program.variable, program.pkg, filepath.Join(dir, program.to))
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

func find(variable, pkg, file string) (string, error) {
	if named := os.Getenv(variable); filepath.IsAbs(named) {
		return named, nil // it may be gone when it is used: that is then found
	} else if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("%s=%s: %w", variable, named, err)
		}
		return filepath.Abs(path)
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return file, nil
}
