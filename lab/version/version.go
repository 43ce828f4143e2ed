// Package version says which release of daemonlab a program is from.
package version

// Number is that of the newest entry in the change log.
const Number = "1.0.0"

// Line is what --version prints.
func Line(program string) string {
	return program + " (daemonlab) " + Number + "\n"
}
