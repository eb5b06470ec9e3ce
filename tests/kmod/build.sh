#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds the kernel module for a kernel of Debian's that need not be this machine's.
#
#   O=build tests/kmod/build.sh KERNEL [MAKE_ARGUMENTS...]      KERNEL: 6.1 or 6.12, a bzImage, or the folder
#                                                               where one was built
#
# Without warnings, of sparse neither if that is there, or not at all; exits 4, skipped, without the headers. Prints the path of ringo.ko below $O, which is kmod/RELEASE/ringo.ko. Of a series
# the newest kernel is taken, as tests/deps.sh does. The headers are unpacked in $O/kmod, not installed. Type
# information for BPF is left out: nothing here needs it, and making it takes pahole.
set -u
cd "$(dirname "$0")/../.." || exit 1

wanted=${1:?series of kernels}
shift
O=$(realpath -m "${O:-build}")
headers=$O/kmod/headers
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

newest() {
	apt-cache search --names-only "^linux-headers-$1\.[0-9]" | cut -d' ' -f1 |
		grep -E '^linux-headers-[0-9.]+(-[0-9]+|\+[a-z0-9.]+)?-amd64$' | sort -V | tail -n 1
}

# The package, and those that it includes by name.
fetch() {
	local package=linux-headers-$1 needed
	needed=$(apt-cache depends "$package" |
		sed -n 's/.*Depends: \(linux-\(headers-.*-common\|kbuild-.*\)\)$/\1/p')
	[ -n "$needed" ] || return 1
	# shellcheck disable=SC2086 # a list of words
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$package" $needed) || return 1
	mkdir -p "$headers"
	for package in "$tmp"/*.deb; do
		dpkg-deb -x "$package" "$headers" || return 1
	done
	sed -i "s,/usr/src,$headers/usr/src," "$headers/usr/src/linux-headers-$1/Makefile"
	touch "$headers/$1"
}

# The name of a bzImage begins 512 bytes after where its header says.
release_of() {
	local at
	at=$(od -An -tu2 -j 526 -N 2 "$1")
	tail -c +$((at + 513)) "$1" | head -c 128 | tr '\0' ' ' | cut -d' ' -f1
}

if [ -d "$wanted" ]; then
	release=$(cat "$wanted/include/config/kernel.release")
	tree=$(realpath "$wanted")
elif [ -f "$wanted" ]; then
	release=$(release_of "$wanted" 2>/dev/null)
else
	release=$(newest "$wanted")
	[ -n "$release" ] || { apt-get -qq update >&2; release=$(newest "$wanted"); }
	release=${release#linux-headers-}
fi
if [ -z "$release" ] || { [ -z "${tree:-}" ] && [ ! -e "$headers/$release" ] && ! fetch "$release" >&2; }; then
	echo "1..0 # SKIP no package linux-headers-${release:-$wanted} can be had: apt's sources, network" >&2
	exit 4
fi

# What is built lies beside its source.
copy=$O/kmod/$release
check=()
! command -v sparse >/dev/null || check=(C=1)
mkdir -p "$copy/uapi"
cp -u kmod/*.[ch] "$copy" && cp kmod/Kbuild "$copy" && cp -u kmod/uapi/*.h "$copy/uapi" || exit 1
# Headers that the module does not use have to compile in the kernel, too.
(cd "$copy" && printf '#include "%s"\n' uapi/*.h >uapi.c && echo 'always-y += uapi.o' >>Kbuild) || exit 1
make -s -C "${tree:-$headers/usr/src/linux-headers-$release}" M="$copy" W=1 KCFLAGS=-Werror \
	CONFIG_DEBUG_INFO_BTF_MODULES= "${check[@]}" "$@" modules >"$copy/log" 2>&1
status=$?
if [ $status != 0 ] || grep -qE '(warning|error):' "$copy/log"; then
	cat "$copy/log" >&2
	exit 1
fi
echo "kmod/$release/ringo.ko"
