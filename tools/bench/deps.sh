#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Install what `make bench` compares ringo with: Go 1.19, Boost.Fiber, nginx and wrk from Debian 12,
# and Go 1.24, which Debian 12 has only in other suites: bookworm-backports has carried it at times,
# trixie always does. Run as root. Only the packages of Debian 12 itself are required; without
# Go 1.24 the table names it as absent.
#
# Nothing is left behind: the entry of the other suite, its pin (priority 1: nothing but the named
# package can come from there) and the file that keeps nginx from being started as a service are
# removed on the way out.
set -eu

list=/etc/apt/sources.list.d/ringo-bench.list
pin=/etc/apt/preferences.d/ringo-bench
policy=/usr/sbin/policy-rc.d
made_policy=

clean_up() {
	rm -f "$list" "$pin"
	[ -z "$made_policy" ] || rm -f "$policy"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# go124 SUITE: install Go 1.24 from SUITE; false when it is not there.
go124() {
	echo "deb http://deb.debian.org/debian $1 main" > "$list"
	printf 'Package: *\nPin: release n=%s\nPin-Priority: 1\n' "$1" > "$pin"
	apt-get update -q &&
		apt-get install -qy --no-install-recommends golang-1.24-go
}

[ "$(id -u)" = 0 ] || { echo "deps.sh: must run as root (try: sudo $0)" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive

if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' > "$policy"
	chmod 755 "$policy"
	made_policy=1
fi

apt-get update -q
apt-get install -qy --no-install-recommends \
	gcc g++ libc6-dev liburing-dev make python3 golang-go libboost-fiber-dev nginx wrk

if [ ! -x /usr/lib/go-1.24/bin/go ]; then
	go124 bookworm-backports || go124 trixie ||
		echo "deps.sh: Go 1.24 cannot be had here; the table will name it as absent" >&2
	rm -f "$list" "$pin"
	apt-get update -q || true
fi
