#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs from Debian what a job needs and the machine lacks; silent when nothing is missing.
#
#   tests/deps.sh demo            the library, the examples and the demo
#   tests/deps.sh check           the tests
#   tests/deps.sh kselftest DIR   the kernel's test harness and checkpatch, out of linux-source-6.1, into DIR
#   tests/deps.sh kernel 6.1 FILE the newest kernel of that series, as FILE; in FILE.modules, those for a slow disk
#   tests/deps.sh source DIR      what building a kernel takes, and the newest source of one in DIR
#
# Without root and without sudo it prints the command to run and fails.
set -eu

build='gcc libc6-dev make pkg-config liburing-dev libhttp-parser-dev'
demo="$build wrk curl linux-perf"
check="$build wrk curl g++ clang libclang-rt-14-dev llvm valgrind cppcheck shellcheck spin python3 xz-utils util-linux libbpf-dev bpftool libdw-dev libncurses-dev gdb bpftrace linux-perf qemu-system-x86 seabios busybox-static cpio sparse tmux"
kernel_build='gcc libc6-dev make flex bison bc libelf-dev perl'

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

# One test uses PostgreSQL; it starts a server of its own, so the package is not to start one.
install_postgresql() {
	[ -n "$(missing postgresql libpq-dev)" ] || return 0
	conf=/etc/postgresql-common/createcluster.d/ringo.conf
	as_root sh -c "mkdir -p ${conf%/*} && echo create_main_cluster = false >$conf" &&
		install_packages postgresql libpq-dev || installed=no
	as_root rm -f $conf || :
	[ -z "${installed:-}" ] || echo 'No PostgreSQL: what needs it will be skipped.' >&2
}

# download PACKAGE as a file in the current folder; the package lists may be empty or old
download() {
	apt-get -qq -o APT::Sandbox::User=root download "$1" 2>download.log ||
		{ as_root apt-get update -qq &&
		  apt-get -qq -o APT::Sandbox::User=root download "$1"; } ||
		{ cat download.log >&2; return 1; }
}

# The harness is the kernel's own and stays so: only its files are unpacked, and nothing is installed.
fetch_kselftest() {
	package=linux-source-6.1
	top=$package/tools/testing/selftests
	scripts=$package/scripts

	[ ! -e "$1/kselftest_harness.h" ] || [ ! -e "$1/checkpatch.pl" ] || return 0
	mkdir -p "$1"
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	(
		cd "$tmp"
		download $package
		dpkg-deb --fsys-tarfile $package*.deb | tar -xO ./usr/src/$package.tar.xz |
			tar -xJ $top/lib.mk $top/kselftest $top/kselftest.h $top/kselftest_harness.h \
				$scripts/checkpatch.pl $scripts/spelling.txt $scripts/const_structs.checkpatch
	)
	# The harness comes last: its presence says that the copy is complete.
	cp -r "$tmp/$top/lib.mk" "$tmp/$top/kselftest" "$tmp/$top/kselftest.h" "$tmp/$scripts"/* "$1"
	cp "$tmp/$top/kselftest_harness.h" "$1"
}

newest_kernel() {
	apt-cache search --names-only "^linux-image-$1\.[0-9]" | cut -d' ' -f1 |
		grep -E '^linux-image-[0-9.]+(-[0-9]+|\+[a-z0-9.]+)?-amd64$' | sort -V | tail -n 1
}

# Only the image and two modules are unpacked, and nothing is installed.
fetch_kernel() {
	[ ! -e "$2" ] || [ ! -d "$2.modules" ] || return 0
	package=$(newest_kernel "$1")
	[ -n "$package" ] || { as_root apt-get update -qq && package=$(newest_kernel "$1"); }
	[ -n "$package" ] || { echo "no package linux-image-$1" >&2; return 1; }
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	(
		cd "$tmp"
		download "$package"
		dpkg-deb --fsys-tarfile "$package"_*.deb |
			tar -x --wildcards './boot/vmlinuz-*' '*/fs/configfs/configfs.ko*' '*/null_blk.ko*'
		find . -name '*.ko.xz' -exec unxz {} +
	)
	mkdir -p "$2.modules"
	find "$tmp" -name '*.ko' -exec cp -t "$2.modules" {} +
	cp "$tmp"/boot/vmlinuz-* "$2.new"
	mv "$2.new" "$2"
}

newest_source() {
	apt-cache search --names-only '^linux-source-[0-9.]+$' | cut -d' ' -f1 | sort -V | tail -n 1
}

# Without drivers and architectures that no test needs, which are most of it, but for how they are configured.
fetch_source() {
	# shellcheck disable=SC2086 # a list of words
	install_packages $kernel_build || return
	[ ! -e "$1/Makefile" ] || return 0
	package=$(newest_source)
	[ -n "$package" ] || { as_root apt-get update -qq && package=$(newest_source); }
	[ -n "$package" ] || { echo "no package linux-source" >&2; return 1; }
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	(
		cd "$tmp"
		download "$package"
	)
	rm -rf "$1.new"
	mkdir -p "$1.new"
	dpkg-deb --fsys-tarfile "$tmp/$package"_*.deb | tar -xO "./usr/src/$package.tar.xz" |
		tar -xJ -C "$1.new" --strip-components=1 --exclude="$package/Documentation/[!K]*" \
			--exclude="$package/sound/*.[ch]" --exclude="$package/arch/[!x]*.[chS]" \
			--exclude="$package/drivers/gpu/*.[ch]" --exclude="$package/drivers/media/*.[ch]" \
			--exclude="$package/drivers/net/*/*.[ch]" --exclude="$package/drivers/scsi/*.[ch]"
	mv "$1.new" "$1"
}

# shellcheck disable=SC2086 # lists of words
case ${1:-} in
demo)		install_packages $demo ;;
check)		install_packages $check; install_postgresql ;;
kselftest)	fetch_kselftest "${2:?directory}" ;;
source)		fetch_source "${2:?directory}" ;;
kernel)		fetch_kernel "${2:?series}" "${3:?file}" ;;
*)		sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
