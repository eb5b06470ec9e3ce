# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A ringo-bpfd for test scripts: source this. O: where it was built.

# Why there can be none; empty: there can.
bpfd_missing() {
	if [ ! -x "${O:-build}/tools/ringo-bpfd" ]; then
		echo 'ringo-bpfd was not built: clang, bpftool and libbpf-dev are needed (make deps-check)'
	elif ! "${O:-build}/tools/ringo-bpfd" --check >/dev/null 2>&1; then
		echo 'BPF programs cannot be loaded here: root, or CAP_BPF and CAP_PERFMON, are needed'
	fi
}

# bpfd_start US: with ticks of so many microseconds at least; sets RINGO_BPFD. bpfd_end ends it.
bpfd_start() {
	bpfd_dir=$(mktemp -d)
	export RINGO_BPFD=$bpfd_dir/socket
	"${O:-build}/tools/ringo-bpfd" -s "$RINGO_BPFD" -t "$1" >&2 </dev/null &
	bpfd_pid=$!
	for _ in {1..200}; do
		[ ! -S "$RINGO_BPFD" ] || break
		sleep 0.05
	done
	sleep 0.1 # bound, and listening by now
}

bpfd_end() {
	[ -z "${bpfd_pid:-}" ] || kill "$bpfd_pid" 2>/dev/null
	[ -z "${bpfd_dir:-}" ] || rm -rf "$bpfd_dir"
}
