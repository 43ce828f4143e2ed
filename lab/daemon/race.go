//go:build race

package daemon

// A program built with -race keeps GORACE, whose log_path says where reports go: they would be lost on stderr.
func init() { kept["GORACE"] = true }
