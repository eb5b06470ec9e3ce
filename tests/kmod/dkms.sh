#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The kernel module for a kernel of Debian's: built by itself (build.sh), and then as DKMS does it, from what
# kmod/README.md has one copy to /usr/src to the module in its place below /lib/modules. Speaks TAP.
#
#   O=build tests/kmod/dkms.sh 6.1      or 6.12
#
# Nothing is installed: DKMS is unpacked, and all that it works on lies in a folder of its own.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

series=${1:?series of kernels}
O=$(realpath -m "${O:-build}")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

module=$(O=$O tests/kmod/build.sh "$series" 2>"$tmp/log")
case $? in
0) result "ringo.ko for $series, without warnings" true ;;
4) cat "$tmp/log"; exit 4 ;;
*) cat "$tmp/log"; result "ringo.ko for $series, without warnings" false; finish ;;
esac
release=$(basename "$(dirname "$module")")

if ! (cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download dkms && dpkg-deb -x dkms_*.deb .) >&2; then
	echo "ok 2 # SKIP no package dkms can be had: apt's sources, network"
	echo 1..2
	exit
fi

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kmod/dkms.conf)
mkdir -p "$tmp"/{src,tree,modules/"$release"}
cp -r kmod "$tmp/src/ringo-$version"

# dkms COMMAND...: not signed, or it would make a key for this machine; without BTF, as in build.sh
dkms() {
	sign_file=none MAKEFLAGS='CONFIG_DEBUG_INFO_BTF_MODULES=' bash "$tmp/usr/sbin/dkms" "$@" -m ringo -v "$version" --sourcetree "$tmp/src" \
		--dkmstree "$tmp/tree" --installtree "$tmp/modules"
}

built() {
	local headers=$O/kmod/headers/usr/src/linux-headers-$release
	dkms build -k "$release" --kernelsourcedir "$headers" ||
		{ cat "$tmp"/tree/ringo/*/build/make.log; return 1; }
}

in_place() {
	dkms install -k "$release" --no-depmod && dkms status | grep -q "$release.*: installed" &&
		[ -n "$(find "$tmp/modules/$release/updates/dkms" -name 'ringo.ko*')" ]
}

result 'dkms add' dkms add
result "dkms build for $release" built
result 'dkms install' in_place
finish
