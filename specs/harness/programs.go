package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the paths of the programs judged, and of the launcher.
type Programs struct {
	Server   string
	Client   string
	Launcher string
}

// Variables that name programs; those not named are built from this module.
const (
	ServerVariable   = "SPECS_SERVER"
	ClientVariable   = "SPECS_CLIENT"
	LauncherVariable = "SPECS_LAUNCHER"
	RowVariable      = "SPECS_ROW"           // not a flag: programs can read command lines
	OrdersVariable   = "SPECS_LAUNCH_ORDERS" // options for the launcher at each start, separated by spaces
)

// Untrusted reports whether the programs are started confined.
func Untrusted() bool {
	return os.Getenv(OrdersVariable) != ""
}

// FindPrograms uses the programs named by the environment and builds the others into dir.
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
		return named, nil // if it disappears, the start will report it
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
