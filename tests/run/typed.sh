#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Typed channels and cases: what is right compiles without a warning, what has a wrong type does not compile,
# in C and C++ with gcc and clang.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

compilers=('gcc -xc -std=gnu11' 'clang -xc -std=gnu11' 'g++ -xc++ -std=c++11' 'clang++ -xc++ -std=c++11'
	'g++ -xc++ -std=c++20')

# compiles COMPILER STATEMENT [OPTION...]
compiles() {
	local command
	read -ra command <<<"$1"
	"${command[@]}" -Ilib/include "${@:3}" -fsyntax-only - <<-END
		#include <ringo.h>
		struct s { int x; };
		struct t { int x; };
		int f(ringo_ch(int) ints, ringo_ch(const char *) texts, ringo_ch(struct s) structs,
		      ringo_ch(double) doubles, struct ringo_chan *raw);
		int f(ringo_ch(int) ints, ringo_ch(const char *) texts, ringo_ch(struct s) structs,
		      ringo_ch(double) doubles, struct ringo_chan *raw)
		{
			int i = 0; long l = 0; const int k = 0; char *p = 0; double d = 0; void *v = &i;
			struct s s = { 1 }; struct t t = { 2 }; struct ringo_case c = RINGO_TIMEOUT(1);
			ringo_ch(int) other = ints;
			(void)i, (void)l, (void)k, (void)p, (void)d, (void)v, (void)s, (void)t, (void)c, (void)other;
			(void)texts, (void)structs, (void)doubles, (void)raw;
			$2
			return 0;
		}
	END
}

refused() {
	! compiles "$@" 2>/dev/null
}

right() {
	for compiler in "${compilers[@]}"; do
		result "$compiler: $1" compiles "$compiler" "$1" -Wall -Wextra -Werror -O2
	done
}

wrong() {
	for compiler in "${compilers[@]}"; do
		result "$compiler refuses: $1" refused "$compiler" "$1"
	done
}

right 'i = ringo_ch_send(ints, 1) + ringo_ch_try_send(ints, i) + ringo_ch_send(ints, k);'
right 'i = ringo_ch_recv(ints, &i) + ringo_ch_try_recv(ints, NULL);'
right 'i = ringo_ch_send(texts, "literal") + ringo_ch_send(texts, p);'
right 'i = ringo_ch_send(structs, s) + ringo_ch_recv(structs, &s);'
right 'i = ringo_ch_send(doubles, d) + ringo_ch_send(doubles, 1);'
right 'c = RINGO_SEND(ints, &k); c = RINGO_RECV(ints, &i); c = RINGO_RECV(ints, NULL);'
right 'c = RINGO_SEND(raw, &s); c = RINGO_RECV(raw, &s); c = RINGO_SEND(raw, &k); c = RINGO_RECV(raw, v);'
right 'c = RINGO_POLL(0, 1); c = RINGO_DONE(NULL); i = ringo_select(&c, 1);'
right 'other = ringo_ch_as(int, ringo_ch_raw(ints)); other = ringo_ch_ref(ints); ringo_ch_unref(other);'
right 'i = ringo_ch_close(ints) + (int)ringo_ch_len(ints) + (int)ringo_ch_cap(ints);'
right 'other = ringo_ch_make(int, 3);'
wrong 'i = ringo_ch_send(ints, 1.5);'
wrong 'i = ringo_ch_send(ints, l);'
wrong 'i = ringo_ch_send(ints, d);'
wrong 'i = ringo_ch_send(ints, p);'
wrong 'i = ringo_ch_send(ints, s);'
wrong 'i = ringo_ch_try_send(ints, &i);'
wrong 'i = ringo_ch_send(texts, &i);'
wrong 'i = ringo_ch_send(texts, v);'
wrong 'i = ringo_ch_send(structs, t);'
wrong 'i = ringo_ch_send(structs, 1);'
wrong 'i = ringo_ch_recv(ints, &l);'
wrong 'i = ringo_ch_recv(ints, &k);'
wrong 'i = ringo_ch_recv(ints, v);'
wrong 'i = ringo_ch_try_recv(texts, &p);'
wrong 'i = ringo_ch_recv(structs, &t);'
wrong 'i = ringo_ch_send(raw, 1);'
wrong 'i = ringo_ch_recv(raw, &i);'
wrong 'c = RINGO_SEND(ints, &l);'
wrong 'c = RINGO_RECV(ints, &d);'
wrong 'c = RINGO_RECV(ints, &k);'
wrong 'c = RINGO_RECV(raw, &k);'
wrong 'c = RINGO_SEND(texts, v);'
wrong 'i = ringo_ch_close(raw);'
finish
