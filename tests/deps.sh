#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs from Debian what a job needs and the machine lacks; silent when nothing is missing.
#
#   tests/deps.sh demo            the library, the examples and the demo
#   tests/deps.sh check           the tests
#   tests/deps.sh kselftest DIR   the kernel's test harness, out of linux-source-6.1, into DIR
#
# Without root and without sudo it prints the command to run and fails.
set -eu

build='gcc libc6-dev make pkg-config liburing-dev libhttp-parser-dev'
demo="$build wrk curl linux-perf"
check="$build wrk curl g++ clang libclang-rt-14-dev llvm valgrind cppcheck shellcheck xz-utils util-linux"

# print the packages of "$@" that are not installed
missing() {
	for package in "$@"; do
		dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
			printf ' %s' "$package"
	done
}

# run "$@" as root, or fail
as_root() {
	if [ "$(id -u)" = 0 ]; then
		env DEBIAN_FRONTEND=noninteractive "$@"
	else
		sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
	fi
}

install_packages() {
	packages=$(missing "$@")
	[ -n "$packages" ] || return 0

	if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
		echo "Some packages are missing; as root, run:" >&2
		echo "apt-get install -y --no-install-recommends$packages" >&2
		return 1
	fi
	# The package lists of a fresh machine are empty or old: fetch them when the first try fails.
	# shellcheck disable=SC2086 # a list of words
	as_root apt-get install -qq -y --no-install-recommends $packages ||
		{ as_root apt-get update -qq &&
		  as_root apt-get install -qq -y --no-install-recommends $packages; }
}

# The harness is the kernel's own and stays so: only its files are unpacked, and nothing is installed.
fetch_kselftest() {
	package=linux-source-6.1
	top=$package/tools/testing/selftests

	[ ! -e "$1/kselftest_harness.h" ] || return 0
	mkdir -p "$1"
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	(
		cd "$tmp"
		apt-get -qq -o APT::Sandbox::User=root download $package 2>download.log ||
			{ as_root apt-get update -qq &&
			  apt-get -qq -o APT::Sandbox::User=root download $package; } ||
			{ cat download.log >&2; exit 1; }
		dpkg-deb --fsys-tarfile $package*.deb | tar -xO ./usr/src/$package.tar.xz |
			tar -xJ --strip-components=4 $top/lib.mk $top/kselftest \
				$top/kselftest.h $top/kselftest_harness.h
	)
	# The harness comes last: its presence says that the copy is complete.
	cp -r "$tmp/lib.mk" "$tmp/kselftest" "$tmp/kselftest.h" "$1"
	cp "$tmp/kselftest_harness.h" "$1"
}

# shellcheck disable=SC2086 # lists of words
case ${1:-} in
demo)		install_packages $demo ;;
check)		install_packages $check ;;
kselftest)	fetch_kselftest "${2:?directory}" ;;
*)		sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
