package daemon

import "strings"

//lab:begin

// kept are the variables that mean something to a process without a user: where programs, home and account are,
// language and time zone. The starter's other variables do not reach the daemon.
var kept = map[string]bool{
	"PATH": true, "HOME": true, "USER": true, "LOGNAME": true, "SHELL": true, "LANG": true, "TZ": true,
}

//lab:end

// cleanEnvironment is step 4: it returns those of the starter's variables, NAME=VALUE each, that the daemon may keep.
func cleanEnvironment(env []string) []string {
	//lab:begin env
	//lab:instead return env
	clean := []string{}
	for _, variable := range env {
		name, _, ok := strings.Cut(variable, "=")
		if ok && (kept[name] || strings.HasPrefix(name, "LC_")) {
			clean = append(clean, variable)
		}
	}
	return clean
	//lab:end
}
