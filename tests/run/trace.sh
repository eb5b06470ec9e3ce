#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A trace of httpd (docs/examples) under load is one that viewers open, with what a server does in it. TRACE_SECONDS
# is how long it is recorded, TRACE_MIB how long the file may be: a second is about 100 MiB.
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
trace=${O:-build}/tools/ringo-trace
httpd=${EXAMPLES:-build/examples}/httpd
for need in "$trace" "$httpd"; do
	[ -x "$need" ] || { echo "1..0 # SKIP no $need"; exit 4; }
done
for need in wrk python3; do
	command -v $need >/dev/null || { echo "1..0 # SKIP no $need"; exit 4; }
done

dir=$(mktemp -d)
pid=
load=
trap 'kill -9 $pid $load 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

mkdir "$dir/root"
echo hello >"$dir/root/file"
"$httpd" -q -l 127.0.0.1:0 -r "$dir/root" >"$dir/out" 2>&1 &
pid=$!
for _ in $(seq 100); do
	port=$(sed -n 's/^listening on .*://p' "$dir/out")
	[ -z "$port" ] || break
	sleep 0.1
done
[ -n "$port" ] || { echo "Bail out! httpd does not start: $(cat "$dir/out")"; exit 1; }

wrk -t1 -c32 -d60 "http://127.0.0.1:$port/file" >/dev/null 2>&1 &
load=$!
sleep 1

records() {
	"$trace" -p "$pid" -t "${TRACE_SECONDS:-0.3}" -s "${TRACE_MIB:-16}" -o "$dir/trace.json"
}

opens() {
	python3 tests/tools/trace.py "$dir/trace.json" 'garbage=0' 'runs>100' 'events.submit>100' 'events.complete>100' \
		'tracks.goroutines>20' 'tracks.rings>0'
}

is_unharmed() {
	[ "$(curl -s "http://127.0.0.1:$port/file")" = hello ]
}

result 'httpd under load is recorded' records
result 'the trace is one, with a server in it' opens
result 'httpd goes on as before' is_unharmed
finish
