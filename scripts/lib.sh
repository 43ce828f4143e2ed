# Sourced by the scripts beside it. Puts the shell into the project's root, and Go's caches where this user may write.

set -euo pipefail
here=$PWD # where the names that the user gives are relative to
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# usage STATUS: prints the script's head, which says how to use it, and ends.
usage() {
	sed -n '2,/^$/s/^# \{0,1\}//p' "scripts/${0##*/}" >&$((1 + ($1 > 0)))
	exit "$1"
}

# scratch NAME [AT-THE-END]: makes the directory $work, where the programs that root starts as nobody come, too. At the end
# it is removed, unless there is something else to do.
scratch() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX")
	chmod 755 "$work"
	trap "${2:-rm -rf \"\$work\"}" EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# from_here PROGRAM ARGUMENT...: becomes a program of bin.
from_here() {
	local program=$PWD/bin/$1
	cd "$here"
	exec "$program" "${@:2}"
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

# The checkout can belong to another user, whose repository git then refuses to describe for Go. Without the checkout's
# name in what the compiler sees, all checkouts and all that is built here for others share what Go has in its cache.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false -trimpath"

# progress reads what `go -v` says: shows how many packages were compiled, which on a fresh machine takes a minute or
# two, and passes on the rest. Where Go's cache has nearly all, nothing is shown.
progress() {
	local line n=0 few=10
	while IFS= read -r line; do
		case $line in
		*[[:space:]]*) printf '%s\n' "$line" ;;
		*)
			n=$((n + 1))
			if [ -t 2 ] && ((n > few)); then
				printf '\rcompiling: %d packages ' "$n"
			elif ((n == few)); then
				echo "compiling what Go's cache lacks"
			elif ((n % 100 == 0)); then
				echo "compiling: $n packages"
			fi
			;;
		esac
	done >&2
	[ ! -t 2 ] || ((n <= few)) || echo >&2
}

# compile fills Go's cache: [-race] [-test] PACKAGES. The compiler collects its garbage seldom.
compile() {
	GOGC=400 go list -v -export -deps "$@" 2>&1 >/dev/null | progress
}

# build_program FILE PACKAGE [FLAGS]. Programs need no C compiler, so none is asked for.
build_program() {
	writable "${1%/*}" || fail "cannot write $(realpath -m "${1%/*}"): use a clone of your own"
	CGO_ENABLED=0 GOGC=400 go build -v "${@:3}" -o "$1" "$2" 2>&1 | progress
}

# build_binaries makes bin/mqfiled and bin/mqfile.
build_binaries() {
	build_program bin/mqfiled ./server
	build_program bin/mqfile ./client
}

# build_suite makes the programs and what judges them: bin/judge beside bin/launch and bin/specs.test.
build_suite() {
	build_binaries
	build_program bin/judge ./specs/judge
	build_program bin/launch ./specs/launch
	CGO_ENABLED=0 compile -test ./specs
	CGO_ENABLED=0 go test -c -o bin/specs.test ./specs
}
