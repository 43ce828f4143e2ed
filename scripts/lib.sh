# Sourced by the scripts beside it. Puts the shell into the project's root, and Go's caches where this user may write.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

command -v go >/dev/null || fail 'no go command on the PATH: install Go 1.26 or newer'

# Under setpriv or sudo HOME can be another user's. Then the caches live in the temporary directory, for all checkouts.
writable() {
	mkdir -p "$1" 2>/dev/null && [ -w "$1" ]
}
if ! writable "${HOME:-/nonexistent}"; then
	HOME=${TMPDIR:-/tmp}/daemonlab-$(id -u)
	writable "$HOME" || fail "cannot write $HOME, which Go needs for its caches"
	export HOME
	unset GOCACHE GOMODCACHE GOPATH GOENV XDG_CACHE_HOME XDG_CONFIG_HOME
fi

# The checkout can belong to another user, whose repository git then refuses to describe for Go.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"

# build_binaries makes bin/mqfiled and bin/mqfile. They need no C compiler, so none is asked for.
build_binaries() {
	CGO_ENABLED=0 go build -o bin/mqfiled ./server
	CGO_ENABLED=0 go build -o bin/mqfile ./client
}

# build_suite makes the programs and what judges them: bin/judge beside bin/launch and bin/specs.test.
build_suite() {
	build_binaries
	CGO_ENABLED=0 go build -o bin/judge ./specs/judge
	CGO_ENABLED=0 go build -o bin/launch ./specs/launch
	CGO_ENABLED=0 go test -c -o bin/specs.test ./specs
}
