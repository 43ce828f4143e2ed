#!/bin/sh
# Runs inside a machine of scripts/machines: as PID 1 on a bare kernel with busybox, and as a unit of a real systemd.
# Each check prints, on the console, "@begin NAME", what it has to say, and "@end STATUS SECONDS NAME".

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

seconds() {
	cut -d. -f1 /proc/uptime
}

# run NAME COMMAND...
run() {
	local name=$1 start status
	shift
	start=$(seconds)
	echo "@begin $name"
	status=0
	"$@" </dev/null 2>&1 || status=$?
	echo "@end $status $(($(seconds) - start)) $name"
}

# ordinary COMMAND...: as an ordinary user, but not nobody, whose room for queues the daemons have that root starts. The
# PID file, of which there is none, keeps it from looking for a process that runs the same program.
ordinary() {
	local program=$1
	shift
	start-stop-daemon -S -q -p /nonexistent -c daemon:daemon -x "$program" -- "$@"
}

# rows EXPECTED ARGUMENT...: judges a program that must fail these rows and no other.
rows() {
	local expected=$1 found
	shift
	/lab/bin/judge "$@" --json /tmp/verdict
	found=$(awk -F '"' '$2 == "id" { id = $4 } $2 == "status" && $4 == "failed" { print id }' /tmp/verdict | sort | xargs)
	[ "$found" = "$(echo $expected | xargs -n 1 | sort | xargs)" ] || {
		echo "failed: $found; expected: $expected"
		return 1
	}
}

# tests PACKAGE
tests() {
	run "tests of $1" go_test "$1"
}

# go_test PACKAGE: a test program beside its sources, where it finds its testdata.
go_test() (
	cd "/lab/src/$1" || exit
	# The client's tests build it, by a go command that has it already. Others, which look for one, find none.
	if [ "$1" = client ]; then
		mkdir -p /tmp/go
		printf '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; cp /lab/bin/mqfile "$2"\n' >/tmp/go/go
		chmod 755 /tmp/go/go
		PATH=/tmp/go:$PATH
	fi
	# That one asks the go command what the programs are made of.
	./of.test -test.short -test.v -test.timeout=20m -test.skip='^TestTheBinariesNeedXSysAlone$'
)

bare() {
	local test
	/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /usr/bin /usr/sbin /sbin /var/tmp
	/bin/busybox --install
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t devtmpfs dev /dev
	mkdir -p /dev/pts /dev/shm /dev/mqueue
	mount -t devpts pts /dev/pts
	mount -t tmpfs -o mode=1777 tmp /tmp
	mount -t mqueue none /dev/mqueue
	chmod 1777 /var/tmp /dev/shm
	ln -s /proc/self/fd /dev/fd
	ip link set lo up
	told
	export HOME=/root TMPDIR=/tmp SPECS_SERVER=/lab/bin/mqfiled SPECS_CLIENT=/lab/bin/mqfile SPECS_LAUNCHER=/lab/bin/launch

	run 'specs on Go, root' /lab/bin/judge
	broken >/tmp/beside &
	[ ! -e /lab/c/mqfiled ] ||
		run 'specs on lab/c, ordinary user' ordinary /lab/bin/judge --server /lab/c/mqfiled --client /lab/c/mqfile
	wait
	cat /tmp/beside
	run 'trace of Go' trace /lab/bin/mqfiled
	[ ! -e /lab/c/mqfiled ] || run 'trace of lab/c' trace /lab/c/mqfiled
	# lab/daemon has no queue, so takes nothing of the user's budget of them.
	tests lab/daemon >/tmp/beside &
	for test in $(grep -v '^lab/daemon$' /lab/tests); do
		tests "$test"
	done
	wait
	cat /tmp/beside
}

broken() {
	local dir
	for dir in /lab/broken/*/; do
		[ -d "$dir" ] || continue
		run "broken: $(basename "$dir")" rows "$(cat "$dir/kills")" $(cat "$dir/arguments")
	done
}

trace() {
	/lab/bin/trace -- "$1" --root /lab/src --queue /trace --pidfile /tmp/trace.pid --log /tmp/trace.log
}

# must COMMAND...: ends the check, a subshell, where it fails.
must() {
	"$@" || {
		echo "failed: $*" >&2
		exit 1
	}
}

# eventually COMMAND...: for what another process does in its own time.
eventually() {
	local begin
	begin=$(seconds)
	until "$@"; do
		[ $(($(seconds) - begin)) -lt 100 ] || must false "within 100 s: $*"
		sleep 0.1
	done
}

# fetches QUEUE COMMAND...: a client that is started by COMMAND.
fetches() {
	local queue=$1 status=0
	shift
	must "$@" mqfile --queue "$queue" file >/tmp/got
	must cmp /srv/file /tmp/got
	must "$@" mqfile --queue "$queue" sub/inside >/tmp/got
	must cmp /srv/file /tmp/got
	"$@" mqfile --queue "$queue" sub/outside >/tmp/got 2>&1 || status=$?
	must [ $status -eq 1 ] # FAILURE: the link leads out of the root
}

# serves QUEUE: root's clients and nobody's.
serves() {
	fetches "$1" env
	fetches "$1" setpriv --reuid=nobody --regid=nogroup --clear-groups
}

property() {
	systemctl show --value --property "$2" "$1"
}

# logged UNIT TEXT: does the journal have it?
logged() {
	journalctl -q -o cat -u "$1" | grep -qF "$2"
}

replaced() {
	local pid
	pid=$(property "$1" MainPID)
	[ "$(property "$1" ActiveState)" = active ] && [ "$pid" -gt 0 ] && [ "$pid" -ne "$2" ]
}

# roots PID: how many descriptors of the served directory it holds: one for openat2(2), another for os.Root in its place.
roots() {
	ls -l "/proc/$1/fd" | grep -c ' /srv$'
}

# unit NAME ROOTS: all of its life.
unit() {
	local pid
	must systemctl start "$1"
	must systemctl is-active "$1"
	pid=$(property "$1" MainPID)
	must [ "$pid" -gt 0 ]
	must [ "$(stat -c %U "/proc/$pid")" = mqfiled ]
	must [ "$(roots "$pid")" = "$2" ]
	serves /mqfiled
	eventually logged "$1" 'ready: serving "/srv"'
	must systemctl reload "$1"
	eventually logged "$1" 'SIGHUP: log reopened'
	must [ "$(property "$1" MainPID)" = "$pid" ]
	serves /mqfiled

	must kill -KILL "$pid"
	eventually replaced "$1" "$pid"
	must [ "$(property "$1" NRestarts)" = 1 ]
	serves /mqfiled

	must systemctl stop "$1"
	must [ "$(property "$1" Result)" = success ]
	eventually logged "$1" ': stopping'
	must [ ! -e /run/mqfiled ]
	gone /run/mqfiled/mqfiled.pid
}

# gone PIDFILE: of a PID file in a directory that is not the account's, what is left is empty.
gone() {
	must [ -z "$(ls /dev/mqueue)" ]
	must [ ! -s "$1" ]
	must [ -z "$(grep -l '^Name:.*mqfile' /proc/[0-9]*/status 2>/dev/null)" ]
	must [ -z "$(systemctl --failed --plain --no-legend)" ]
}

without_restriction() {
	local file=/run/systemd/system/$1.d/openat2.conf
	mkdir -p "$(dirname "$file")"
	printf '[Service]\nRestrictSUIDSGID=no\n' >"$file"
	systemctl daemon-reload
	(unit "$1" 1)
	local status=$?
	rm "$file"
	systemctl daemon-reload
	return $status
}

exposure() {
	local status=0
	systemd-analyze security --no-pager --threshold=20 "$1" >/tmp/security || status=$?
	tail -n 1 /tmp/security
	return $status
}

readonly plain='/usr/local/bin/mqfiled --root /srv --queue /plain --pidfile /run/plain.pid'

# plain COMMAND...: a plain daemon, that the command starts; its log is syslog's.
plain() {
	local pid
	must "$@"
	eventually mqfiled --status --pidfile /run/plain.pid
	read -r pid </run/plain.pid
	serves /plain
	must [ "$(stat -c %U "/proc/$pid")" = nobody ]
	must [ "$(cut -d' ' -f4 "/proc/$pid/stat")" = 1 ]
	eventually has_line "$pid" 'ready: serving "/srv"'
	must kill -HUP "$pid"
	eventually has_line "$pid" 'SIGHUP: log reopened'
	must mqfiled --stop --pidfile /run/plain.pid
	eventually has_line "$pid" ': stopping'
	gone /run/plain.pid
}

has_line() {
	journalctl -q -o cat SYSLOG_IDENTIFIER=mqfiled _PID="$1" | grep -qF "$2"
}

by_cron() {
	echo "@reboot root $plain" >/etc/cron.d/plain
	rm -f /run/crond.reboot
	systemctl restart cron
}

systemd() {
	local name
	systemctl --version | head -n 1
	install -m 755 /lab/bin/mqfiled /lab/bin/mqfile /usr/local/bin
	install -D -m 644 -t /etc/sysusers.d /lab/systemd/mqfiled.conf
	install -m 644 /lab/systemd/*.service /etc/systemd/system/
	mkdir -p /srv/sub
	head -c 100000 /dev/urandom >/srv/file
	ln -s ../file /srv/sub/inside
	ln -s /etc/passwd /srv/sub/outside
	run sysusers systemd-sysusers
	systemctl daemon-reload
	systemctl is-system-running --wait
	systemctl reset-failed # there are no modules to load
	for name in mqfiled mqfiled-sysv; do
		run "$name" check unit $name.service 2
		run "$name, with openat2" check without_restriction $name.service
		run "$name, exposure" check exposure $name.service
	done
	run 'plain, systemd-run --scope' check plain systemd-run -q --scope $plain
	run 'plain, systemd-run, forking' check plain systemd-run -q -p Type=forking -p PIDFile=/run/plain.pid $plain
	run 'plain, cron' check plain by_cron
}

# check COMMAND...: in a subshell. One that has failed shows what the system knows.
check() {
	("$@") && return
	systemctl status --no-pager --full --lines=20 mqfiled mqfiled-sysv cron
	journalctl -q -b --no-pager --lines=40
	systemctl stop mqfiled mqfiled-sysv
	mqfiled --stop --pidfile /run/plain.pid
	systemctl reset-failed
	return 1
}

# told: of a kernel of Debian, uname -r has the ABI's version alone.
told() {
	echo "@machine $(uname -m) $(uname -v | sed 's/.*Debian \([^ ]*\).*/\1/')"
}

case $1 in
systemd)
	told
	systemd
	;;
*)
	bare
	poweroff -f
	;;
esac
