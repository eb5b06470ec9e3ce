#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The pictures of the guide can be made anew, show what they are to show, and tell nothing of the machine; so do those
# that are there.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
tools=${O:-build}/tools
for need in "$tools/ringo-top" "$tools/ringo-trace" "${O:-build}/examples/httpd"; do
	[ -x "$need" ] || { echo "1..0 # SKIP no $need"; exit 4; }
done
for need in wrk tmux python3; do
	command -v $need >/dev/null || { echo "1..0 # SKIP no $need: make deps-check installs it"; exit 4; }
done
[ "$(id -u)" = 0 ] || { echo '1..0 # SKIP it takes root'; exit 4; }

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# shows FILE TEXT...: a small SVG with each of these in its text, which points to nothing
shows() {
	python3 - "$@" <<-'PY' &&
		import sys, xml.etree.ElementTree as xml
		root = xml.parse(sys.argv[1]).getroot()
		text = "\n".join(root.itertext())
		faults = [f"lacks {wish}: {text[:2000]}" for wish in sys.argv[2:] if wish not in text]
		faults += [f"points to {e.attrib}" for e in root.iter() if any("href" in key for key in e.attrib)]
		faults += [root.tag] if root.tag != "{http://www.w3.org/2000/svg}svg" else []
		sys.exit("\n".join(faults) or None)
	PY
		[ "$(stat -c %s "$1")" -lt 60000 ] && ! grep -wF -e "$(uname -n)" -e "$PWD" "$1"
}

flame_in() { shows "$1/flame.svg" 'httpd (' 'serve by acceptor: ' 'ringo_recv'; }
top_in() { shows "$1/top.svg" 'ringo-top - ' ' goroutines: ' 'CPU %' ' serve ' ' acceptor+' 'ringo_run'; }
trace_in() {
	shows "$1/trace.svg" 'ring of P ' 'M ' 'serve ' 'runs: ' 'runnable: ' 'recv: ' 'submit send: ' \
		'complete recv: ' && [ "$(grep -c 'class="wake"' "$1/trace.svg")" -gt 10 ]
}

made() { docs/examples/pictures.sh "$dir" "$1" && "$1_in" "$dir"; }

result 'the flame graph of the guide' flame_in docs/guide
result 'the picture of ringo-top in the guide' top_in docs/guide
result 'the picture of a trace in the guide' trace_in docs/guide
result 'one of ringo-top is made' made top
result 'one of a trace is made' made trace
if missing=$("$tools/ringo-prof" --check 2>&1); then
	result 'a flame graph is made' made flame
else
	echo "ok $((tests += 1)) a flame graph is made # SKIP ${missing##*$'\n'}"
fi
finish
