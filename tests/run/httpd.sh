#!/bin/bash
# SPDX-License-Identifier: MIT
#
# httpd (docs/examples) as its clients see it: answers, attacks, slow and silent clients, exhausted
# descriptors, the end. Needs curl. EXAMPLES is the folder of the built examples.
#
# shellcheck disable=SC2317 # result runs functions by name
#
# Every wait has a bound; times are checked against bounds that a busy machine keeps.

cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
ulimit -Sn "$(ulimit -Hn)"
httpd=${EXAMPLES:-build/examples}/httpd
[ -x "$httpd" ] || { echo "1..0 # SKIP no $httpd"; exit 4; }
command -v curl >/dev/null || { echo '1..0 # SKIP no curl'; exit 4; }
httpd=$(realpath "$httpd")

dir=$(mktemp -d)
root=$dir/root
pid=
nofile=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
trap '' PIPE             # the server may close first

between() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }
now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# start OPTION...: a server on a port of its own; sets pid, port and url
start() {
	: >"$dir/out"
	(
		trap - PIPE
		[ -z "$nofile" ] || ulimit -n "$nofile"
		exec "$httpd" -l 127.0.0.1:0 -r "$root" "$@" >"$dir/out" 2>"$dir/err"
	) &
	pid=$!
	for _ in $(seq 100); do
		port=$(sed -n 's/^listening on .*://p' "$dir/out")
		[ -z "$port" ] || break
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	if [ -z "$port" ]; then
		echo "Bail out! httpd does not start: $(cat "$dir/err")"
		exit 1
	fi
	url=http://127.0.0.1:$port
}

# stop: ask it to end; sets rc and took (ms)
stop() {
	local t
	t=$(now_ms)
	kill -TERM $pid
	await_end
	took=$(($(now_ms) - t))
}

await_end() {
	for _ in $(seq 100); do
		kill -0 $pid 2>/dev/null || break
		sleep 0.05
	done
	if kill -9 $pid 2>/dev/null; then
		echo '# httpd did not end and was killed'
	fi
	wait $pid
	rc=$?
	pid=
}

get() { curl -s -m 5 --path-as-is "$@"; }
status() { get -o /dev/null -w '%{http_code}' "$@"; }
status_is() { local want=$1; shift; [ "$(status "$@")" = "$want" ]; }

# raw TEXT: send bytes (printf format), print what comes until the server closes
raw() {
	local s
	exec {s}<>"/dev/tcp/127.0.0.1/$port" || return 1
	# shellcheck disable=SC2059 # the text is the format
	printf "$1" >&$s
	timeout 5 cat <&$s
	exec {s}>&-
}

raw_is() {
	local want=$1
	raw "$2" | head -1 | grep -q "^HTTP/1.1 $want "
}

# open_many N TEXT: connections that have sent TEXT; their descriptors in the array held
open_many() {
	local s i
	held=()
	for ((i = 0; i < $1; i++)); do
		exec {s}<>"/dev/tcp/127.0.0.1/$port" || return 1
		held+=("$s")
		# shellcheck disable=SC2059
		{ printf "$2" >&$s; } 2>/dev/null
	done
}

close_many() {
	local s
	for s in "${held[@]}"; do
		exec {s}>&-
	done
	held=()
}

# slowest N: milliseconds of the slowest of N requests on connections of their own
slowest() {
	local i t max=0
	for ((i = 0; i < $1; i++)); do
		t=$(get -o /dev/null -w '%{http_code} %{time_total}' "$url/small.txt")
		[ "${t% *}" = 200 ] || { echo 99999; return; }
		t=${t#* }
		t=$((10#${t/[.,]/} / 1000))
		[ $t -le $max ] || max=$t
	done
	echo $max
}

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }

mkdir -p "$root/sub" "$root/bare" "$root/a b"
echo '<h1>index</h1>' >"$root/index.html"
echo '<h1>sub</h1>' >"$root/sub/index.html"
echo 'small' >"$root/small.txt"
echo 'spaced' >"$root/a b/c%d.txt"
: >"$root/empty"
echo 'secret' >"$dir/secret"
mkdir "$dir/outside"
echo 'secret' >"$dir/outside/secret"
head -c 65536 /dev/urandom >"$root/limit.bin"
head -c 65537 /dev/urandom >"$root/over.bin"
head -c 20000000 /dev/urandom >"$root/big.bin"
ln -s ../secret "$root/link-up"
ln -s "$dir/secret" "$root/link-abs"
ln -s ../outside "$root/link-dir"
ln -s small.txt "$root/link-in"
ln -s loop "$root/loop"
mkfifo "$root/fifo"

answers() {
	local i same=0 body
	start -q
	result 'GET gives the file' [ "$(get "$url/small.txt")" = small ]
	result 'a directory gives its index.html' [ "$(get "$url/")" = '<h1>index</h1>' ]
	result 'a directory without its slash is redirected' \
		[ "$(get -o /dev/null -w '%{redirect_url}' "$url/sub")" = "$url/sub/" ]
	result 'a directory without index.html is not listed' status_is 403 "$url/bare/"
	result 'a redirection does not lead to another host' \
		[ "$(get -o /dev/null -w '%{redirect_url}' "$url//sub")" = "$url/sub/" ]
	result 'an encoded path is decoded once' [ "$(get "$url/a%20b/c%25d.txt")" = spaced ]
	result 'an empty file is an empty answer' [ "$(get -w '%{http_code}' "$url/empty")" = 200 ]
	result 'HEAD gives the length and no body' \
		grep -qi '^content-length: 6' <(get -I "$url/small.txt" | tr -d '\r')
	result 'the type follows the suffix' \
		[ "$(get -o /dev/null -w '%{content_type}' "$url/")" = 'text/html; charset=utf-8' ]
	result 'an unknown file is 404' status_is 404 "$url/none"
	result 'POST is 405, its body is read and the connection kept' \
		[ "$(get -d x=1 -w '%{http_code}' -o /dev/null "$url/" --next -s -m 5 "$url/small.txt")" = \
		405small ]
	result 'a large body is 413' \
		status_is 413 -H Expect: --data-binary "@$root/big.bin" "$url/"
	result 'Expect: 100-continue before a refused body is answered at once' \
		status_is 405 -H 'Expect: 100-continue' -d x=1 "$url/"
	result 'Expect: 100-continue before an accepted body is answered by 100' \
		raw_is 100 'GET /small.txt HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx'
	result 'If-Modified-Since is 304 while the file is the same' status_is 304 -H \
		"If-Modified-Since: $(get -I "$url/small.txt" | tr -d '\r' | sed -n 's/^Last-Modified: //p')" \
		"$url/small.txt"
	echo small2 >"$root/changed"
	result 'a changed file is seen after a second' \
		[ "$(get "$url/changed"; echo other >"$root/changed"; sleep 1.2; get "$url/changed")" = \
		$'small2\nother' ]
	for i in small.txt limit.bin over.bin big.bin; do
		[ "$(get "$url/$i" | sha256sum)" = "$(sha256sum <"$root/$i")" ] && same=$((same + 1))
	done
	result 'files of all sizes arrive as they are' [ $same = 4 ]
	body=$(raw 'GET /small.txt HTTP/1.0\r\n\r\n')
	result 'HTTP/1.0 is answered and closed' grep -q small <<<"$body"
	result 'HTTP/1.0 keep-alive is kept when asked for' grep -qi 'connection: keep-alive' \
		<(raw 'GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n')
	result 'a connection serves several requests' [ "$(get -o /dev/null -w '%{num_connects}' \
		"$url/" --next -s -m 5 -o /dev/null -w '%{num_connects}' "$url/small.txt")" = 10 ]
	body=$(raw 'GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
	result 'pipelined requests are answered in order' [ "$(tr -d '\r' <<<"$body" |
		grep -E '^(small|404|<h1>)' | tr '\n' ' ')" = 'small 404 Not Found <h1>index</h1> ' ]
	result 'SIGUSR1 prints the figures of the runtime' grep -q '^goroutines [1-9]' \
		<(kill -USR1 $pid; sleep 0.3; cat "$dir/err")
	open_many 100 'GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n'
	sleep 0.3
	stop
	close_many
	result 'SIGTERM ends it at once when all are idle, with 0' [ "$rc:$((took / 1500))" = 0:0 ]
}

# refused_late: send on after the refusal, and read it only then
refused_late() {
	local s ok
	exec {s}<>"/dev/tcp/127.0.0.1/$port"
	printf 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n' >&"$s"
	sleep 0.2
	printf '%090000d' 0 >&"$s"
	sleep 0.2
	printf '%090000d' 0 >&"$s" && timeout 5 head -1 <&"$s" | grep -q 413
	ok=$?
	exec {s}>&-
	return "$ok"
}

attacks() {
	local long
	start -q
	result 'a raw /../ is refused' status_is 403 "$url/../secret"
	result 'an encoded /../ is refused' status_is 403 "$url/%2e%2e/secret"
	result 'an encoded slash does not hide a /../' status_is 403 "$url/sub%2f..%2f..%2fsecret"
	result 'a link out of the root is refused' status_is 403 "$url/link-up"
	result 'an absolute link is refused' status_is 403 "$url/link-abs"
	result 'a linked directory out of the root is refused' status_is 403 "$url/link-dir/secret"
	result 'a link within the root is followed' [ "$(get "$url/link-in")" = small ]
	result 'a link to itself is refused' status_is 403 "$url/loop"
	result 'an encoded NUL is refused' status_is 400 "$url/small.txt%00.html"
	result 'a FIFO is refused and nobody waits for it' status_is 403 "$url/fifo"
	result 'garbage is 400' raw_is 400 'nonsense\r\n\r\n'
	result 'HTTP/1.1 without Host is 400' raw_is 400 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'
	result 'both lengths of a body are 400' raw_is 400 \
		'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
	result 'an unknown transfer coding is 501' raw_is 501 \
		'GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'
	long=$(printf '%08000d' 0)
	result 'a long head within the limit is served' status_is 200 -H "X: ${long:0:7000}" "$url/"
	result 'who is refused is not cut off while it sends' refused_late
	result 'a head beyond the limit is 431' status_is 431 -H "X: $long$long" "$url/"
	stop
}

# loris: a byte of a head every half second; prints the milliseconds until the server has enough
loris() {
	local s t writer
	t=$(now_ms)
	exec {s}<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET / HTTP/1.1\r\nX: ' >&$s
	while sleep 0.5 && printf x >&$s; do :; done 2>/dev/null &
	writer=$!
	timeout 9 head -1 <&$s >/dev/null
	echo $(($(now_ms) - t))
	kill $writer
}

slow_clients() {
	local s t c
	start -q -s 2 -i 1
	loris >"$dir/loris" 2>/dev/null &
	s=$!
	c=$(slowest 20)
	result 'others are quick beside a client that sends a byte now and then' between "$c" 0 1000
	wait $s
	result 'who does not finish a request is cut off in time' \
		between "$(cat "$dir/loris")" 1500 5000
	result 'and is told 408' raw_is 408 'GET / HTTP/1.1\r\nHost:'
	t=$(now_ms)
	raw 'GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n' >/dev/null
	result 'an idle connection is closed in time' between $(($(now_ms) - t)) 800 3500
	stop

	start -q -s 30
	open_many 1000 'GET / HT'
	result '1,000 half-sent requests do not slow others' between "$(slowest 20)" 0 1000
	close_many
	stop
}

limits() {
	local n=0 before
	start -c 10
	open_many 10 'GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n'
	sleep 0.3
	result 'one connection beyond the limit is told 503' status_is 503 "$url/"
	close_many
	n=$(served_again)
	result 'and is served again when others have gone' [ "$n" = 1 ]
	stop

	nofile=64
	start -c 10000
	nofile=
	open_many 100 'GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n'
	sleep 0.3
	before=$(cpu_ticks)
	sleep 1
	result 'out of descriptors it waits without using the CPU' \
		between $(($(cpu_ticks) - before)) 0 30
	result 'and says what to do' grep -q 'ulimit -n' "$dir/err"
	close_many
	n=$(served_again)
	result 'and serves again when descriptors are free' [ "$n" = 1 ]
	stop
}

# served_again: 1 when a request succeeds within five seconds
served_again() {
	for _ in $(seq 50); do
		if status_is 200 "$url/small.txt"; then
			echo 1
			return
		fi
		sleep 0.1
	done
}

graceful_end() {
	local i s t clients=() good=0 last
	start
	for i in 1 2 3 4; do
		get --limit-rate 15M -o "$dir/big.$i" "$url/big.bin" &
		clients+=($!)
	done
	open_many 200 'GET /small.txt HTTP/1.1\r\nHost: x\r\n\r\n'
	exec {s}<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /small.txt HTTP/1.1\r\nHo' >&$s
	sleep 0.4
	t=$(now_ms)
	kill -TERM $pid
	sleep 0.2
	result 'when ending it takes no new connections' status_is 000 "$url/"
	printf 'st: x\r\n\r\n' >&$s
	last=$(timeout 5 cat <&$s | tr -d '\r')
	exec {s}>&-
	for i in "${clients[@]}"; do
		wait "$i"
	done
	await_end
	t=$(($(now_ms) - t))
	for i in 1 2 3 4; do
		! cmp -s "$root/big.bin" "$dir/big.$i" || good=$((good + 1))
	done
	result 'requests in progress are finished' [ $good = 4 ]
	result 'also one whose head came only then, and its connection is closed' \
		[ "$(grep -cE '^(small|Connection: close)$' <<<"$last")" = 2 ]
	result 'it ends within its two seconds, with 0' [ "$rc:$((t / 3000))" = 0:0 ]
	result 'and prints one line of statistics' [ "$(grep -c ' requests ' "$dir/err")" = 1 ]
	close_many

	start -q
	open_many 1 'GET / HTTP/1.1\r\n'
	sleep 0.2
	stop
	result 'a client that never finishes does not hold up the end' between "$took" 0 4000
	close_many
}

answers
attacks
slow_clients
limits
graceful_end
finish
