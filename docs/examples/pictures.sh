#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The pictures of the guide: httpd, while wrk asks it for a file, as ringo-prof, ringo-top and ringo-trace
# show it. As root; needs wrk, tmux and python3.
#
#   docs/examples/pictures.sh FOLDER [flame|top|trace]...
#
# Each becomes FOLDER/NAME.svg: all three if none is named. O is the build folder (build).
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${O:-$here/../../build}
folder=${1:?which folder?}
shift
[ $# -gt 0 ] || set -- flame top trace

tmp=$(mktemp -d)
httpd=
wrk=
terminal() { tmux -S "$tmp/tmux" -f /dev/null "$@"; }
idle() {
	local pid
	for pid in $wrk $httpd; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	httpd=
	wrk=
}
trap 'terminal kill-server 2>/dev/null || :; idle; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM

# busy CONNECTIONS [NAME=VALUE]: httpd with that environment, and its clients
busy() {
	local out address
	exec {out}< <(exec env "${@:2}" "$build/examples/httpd" -l 127.0.0.1:0 -r "$here/.." -q)
	httpd=$!
	read -r -t 10 _ _ address <&"$out"
	exec {out}<&-
	wrk -t1 "-c$1" -d60s "http://$address/HACKING.md" >/dev/null &
	wrk=$!
	sleep 1
}

draw_flame() {
	busy 64
	"$build/tools/ringo-prof" -p "$httpd" -t 5 -o "$folder/flame.svg"
}

# The CPU time of goroutines, which its environment asks for, is there from the second look on.
draw_top() {
	local tries=30
	busy 64 RINGO_DEBUG=1
	terminal new-session -d -x 80 -y 12 "exec '$build/tools/ringo-top' $httpd" \; set status off
	until terminal capture-pane -p -e >"$tmp/screen" && grep -q '[0-9]\.[0-9] serve ' "$tmp/screen"; do
		[ $((tries -= 1)) -gt 0 ] || { echo 'ringo-top shows nothing' >&2; return 1; }
		sleep 0.5
	done
	terminal kill-server
	"$here/pictures.py" screen <"$tmp/screen" >"$folder/top.svg"
}

# Few connections, so that there is room for all. A busy machine may need time to do anything worth a picture.
draw_trace() {
	busy 8
	"$build/tools/ringo-trace" -q --no-kernel -p "$httpd" -t 10 -s 4 -o "$tmp/trace.json"
	"$here/pictures.py" trace <"$tmp/trace.json" >"$folder/trace.svg"
}

for picture; do
	"draw_$picture"
	idle
done
