#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a user has after make install: headers that stand alone in C and C++, a pkg-config file that
# builds a program against the shared and the static library, and no symbols but ringo's.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# The headers are not taken for system headers, whose warnings compilers hide.
ringo() {
	PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
		PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config "$@" ringo
}

# consumer COMPILER [OPTION...]: build and run the consumer against the shared library
consumer_shared() {
	# shellcheck disable=SC2046 # a list of options
	"$@" tests/install/consumer.c -o "$root/consumer" $(ringo --cflags --libs) &&
		readelf -d "$root/consumer" | grep -q 'NEEDED.*libringo\.so\.0\]' &&
		LD_LIBRARY_PATH=$root/usr/lib timeout 20 "$root/consumer"
}

# the same with libringo.a, and everything else shared
consumer_static() {
	local libs
	libs=$(ringo --static --libs)
	# shellcheck disable=SC2046,SC2086 # lists of options
	"$@" tests/install/consumer.c -o "$root/consumer" $(ringo --cflags) \
		${libs/-lringo/-l:libringo.a} &&
		timeout 20 "$root/consumer"
}

header() {
	echo "#include <$1>" >"$root/header.c"
	shift
	# shellcheck disable=SC2046 # a list of options
	"$@" -Wall -Wextra -Werror -fsyntax-only $(ringo --cflags) "$root/header.c"
}

exports() {
	local others
	others=$(nm -D --defined-only "$root/usr/lib/libringo.so" | awk '{ print $3 }' |
		grep -v -e '^ringo_.*@@RINGO_0\.1$' -e '^RINGO_0\.1$')
	[ -z "$others" ] || { echo "exported too: $others"; return 1; }
}

# a static library shares one name space with its user
# The base of probes has the name that tracers look for, and is hidden.
archive_names() {
	local others
	others=$(nm -g --defined-only "$root/usr/lib/libringo.a" 2>/dev/null | awk 'NF == 3 { print $3 }' |
		grep -v -e '^ringo_' -e '^rg_' -e '^_\.stapsdt\.base$')
	[ -z "$others" ] || { echo "defined too: $others"; return 1; }
}

# every function that a header promises is in the library
promises() {
	local missing
	missing=$(grep -h '^RINGO__API' lib/include/ringo/*.h | grep -o 'ringo_[a-z0-9_]* *(' |
		tr -d ' (' | sort -u | comm -23 - <(nm -D --defined-only "$root/usr/lib/libringo.so" |
		sed -n 's/.* \(ringo_[a-z0-9_]*\)@.*/\1/p' | sort -u))
	[ -z "$missing" ] || { echo "declared but not there:" "$missing"; return 1; }
}

# gdb looks below a folder of its own for what belongs to the library, under the path that this has
gdb_loads() {
	command -v gdb >/dev/null || return 0
	mkdir -p "$root/auto$root/usr/lib" || return
	cp "$root"/usr/share/gdb/auto-load/usr/lib/libringo.so.*-gdb.py "$root/auto$root/usr/lib" || return
	consumer_shared gcc -g || return
	LD_LIBRARY_PATH=$root/usr/lib timeout 60 gdb -batch -nx -iex "set auto-load scripts-directory $root/auto" \
		-iex "set auto-load safe-path $root/auto" -ex 'break main' -ex run -ex 'info goroutines' \
		"$root/consumer" >"$root/gdb" 2>&1
	grep -q 'no ringo_run goes on' "$root/gdb" && return
	cat "$root/gdb"
	false
}

uninstall() {
	make -s uninstall DESTDIR="$root" prefix=/usr
	[ -z "$(find "$root/usr" ! -type d)" ]
}

result 'make install' make -s install DESTDIR="$root" prefix=/usr
for path in lib/include/ringo.h lib/include/ringo/*.h; do
	name=${path#lib/include/}
	result "$name alone, C11, gcc" header "$name" gcc -xc -std=c11
	result "$name alone, gnu11, clang" header "$name" clang -xc -std=gnu11
	result "$name alone, C++17, g++" header "$name" g++ -xc++ -std=c++17
	result "$name alone, C++17, clang++" header "$name" clang++ -xc++ -std=c++17
done
for compiler in 'gcc -std=gnu11' 'clang -std=gnu11' 'g++ -xc++'; do
	# shellcheck disable=SC2086 # a command
	result "shared, $compiler" consumer_shared $compiler -Wall -Wextra -Werror
	# shellcheck disable=SC2086 # a command
	result "static, $compiler" consumer_static $compiler -Wall -Wextra -Werror
done
result 'only ringo_ symbols are exported, with their version' exports
result 'libringo.a defines only ringo_ and rg_ names' archive_names
result 'each declared function is exported' promises
result 'gdb knows goroutines' gdb_loads
result 'make uninstall leaves no file' uninstall
finish
