#!/bin/sh
# check.sh DIRECTORY: a short run of the programs in the directory.  Quiet and
# 0 when all is well; what a sanitizer said counts as wrong.
set -u
cd "$(dirname "$0")" || exit 1
server=$PWD/$1/mqfiled client=$PWD/$1/mqfile
work=$(mktemp -d /tmp/mqfile-check.XXXXXX)
queue=/mqfile-check-$$
errors=0
chmod 777 "$work" # started by root, the daemon becomes nobody
ASAN_OPTIONS=log_path=$work/report
TSAN_OPTIONS=log_path=$work/report:atexit_sleep_ms=0
UBSAN_OPTIONS=log_path=$work/report:print_stacktrace=1
export ASAN_OPTIONS TSAN_OPTIONS UBSAN_OPTIONS

wrong() {
    echo "$1" >&2
    errors=$((errors + 1))
}

stop() {
    pid=$(cat "$work/pid" 2>/dev/null)
    [ -n "$pid" ] || return 0
    kill -TERM "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
        [ -s "$work/pid" ] || return 0
        sleep 0.5
    done
    wrong "the daemon did not end"
    kill -KILL "$pid"
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT PIPE TERM

mkdir "$work/root"
for size in 0 1 8191 8192 8193 1000000 50000000; do
    head -c $size /dev/urandom >"$work/root/$size"
done

start() {
    "$server" --root "$work/root" --queue=$queue --pidfile "$work/pid" \
        --log="$work/log" --stall "$1" || exit 1
}

start 1
for size in 0 1 8191 8192 8193 1000000 50000000; do
    "$client" --queue $queue $size 2>/dev/null |
        cmp - "$work/root/$size" || wrong "$size bytes: not equal"
done

# Eight at once.
clients=
for n in 1 2 3 4 5 6 7 8; do
    "$client" --queue $queue -o "$work/out$n" 1000000 2>/dev/null &
    clients="$clients $!"
done
for pid in $clients; do wait "$pid" || wrong "one of eight: exit $?"; done
for n in 1 2 3 4 5 6 7 8; do
    cmp "$work/out$n" "$work/root/1000000" || wrong "one of eight: not equal"
done

# Failures, and a client that takes nothing: it is given up after --stall.
for path in missing .. ../root/1 /etc/passwd / ''; do
    "$client" --queue $queue "$path" 2>/dev/null
    [ $? = 1 ] || wrong "path '$path': no failure"
done
"$client" --queue $queue 50000000 2>/dev/null | sleep 2

# A request ends no wait of a FIFO's writer, and forges no line of the log.
mkfifo "$work/root/fifo"
(echo >"$work/root/fifo") 2>/dev/null &
for path in fifo fifo fifo "x
forged"; do
    "$client" --queue $queue "$path" 2>/dev/null
    [ $? = 1 ] || wrong "path '$path': no failure"
done
exec 3<>"$work/root/fifo"
wait $! || wrong "the FIFO's writer was disturbed"
exec 3>&-
grep -q '^forged' "$work/log" && wrong "a forged line in the log"

# However a client ends, it leaves nothing, be its directory renamed meanwhile.
kill -STOP "$(cat "$work/pid")"
for signal in ABRT HUP PWR VTALRM; do
    mkdir "$work/out"
    "$client" --queue $queue -o "$work/out/file" 1 &
    until [ "$(ls -A "$work/out")" ]; do sleep 0.1; done
    mv "$work/out" "$work/renamed"
    kill -$signal $!
    wait $!
    [ -z "$(ls -A "$work/renamed")" ] || wrong "SIG$signal: a file is left"
    rm -r "$work/renamed"
done
kill -CONT "$(cat "$work/pid")"

# The older file's mode, but no right of its owner's for whoever fetches.
touch "$work/older"
chmod 4701 "$work/older"
"$client" --queue $queue -o "$work/older" 1 2>/dev/null
[ "$(stat -c %a "$work/older")" = 701 ] || wrong "-o: another mode"

# Log rotation and a second server.
mv "$work/log" "$work/log.1"
kill -HUP "$(cat "$work/pid")"
"$server" --root / --queue=$queue --pidfile "$work/pid" 2>/dev/null &&
    wrong "a second server started"
"$client" --queue $queue 1 2>/dev/null | cmp - "$work/root/1" ||
    wrong "not served after SIGHUP"
[ -s "$work/log" ] || wrong "the log was not opened again"
stop

# The end in mid-transfer.
start 60
"$client" --queue $queue 50000000 2>/dev/null | sleep 8 &
sleep 0.5
stop
"$client" --queue $queue 1 2>/dev/null
[ $? = 3 ] || wrong "the queue is still there"
wait

# Starts that would harm others, or serve nobody: they change nothing.
refused() {
    "$server" --root "$work/root" --queue=$queue --pidfile "$work/pid" "$@" \
        2>/dev/null && wrong "a server started with $*"
    [ "$(cat "$work/precious")" = precious ] || wrong "changed by $*"
}
echo precious >"$work/precious"
ln -s precious "$work/link"
refused --log "$work/link"
refused --pidfile "$work/precious"
ln "$work/precious" "$work/hard"
refused --log "$work/hard"
chmod 0 "$work/root" # root's daemon is no longer root when it looks
refused
chmod 755 "$work/root"

# Files whose size nobody tells; SIGHUP without a log file.
"$server" --root /proc --queue=$queue --pidfile "$work/pid" ||
    wrong "/proc is not served"
kill -HUP "$(cat "$work/pid")"
"$client" --queue $queue version >/dev/null 2>&1
[ $? = 1 ] || wrong "a file of /proc: no failure"
stop

for report in "$work"/report*; do
    [ ! -f "$report" ] || { cat "$report" >&2; wrong "$report"; }
done
[ $errors = 0 ] || sed 's/^/log: /' "$work"/log* >&2
exit $errors
