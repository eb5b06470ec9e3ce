#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The demo: httpd serves real files to 10,000 keep-alive connections on this machine, a goroutine
# each; wrk is the clients. First all connections stand idle, to see what one costs; then all ask as
# fast as they can.
#
#   docs/examples/demo.sh [--connections N] [--seconds N] [--root DIR] [--keep]
#
# --keep leaves the server running. O is the build folder (build).
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
httpd=${O:-$top/build}/examples/httpd
connections=10000
seconds=10
root=$top/docs
keep=

usage() {
	echo "usage: $0 [--connections N] [--seconds N] [--root DIR] [--keep]" >&2
	exit 2
}

number() {
	case $1 in
	'' | *[!0-9]* | 0*) usage ;;
	esac
	echo "$1"
}

while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=1 ;;
	--connections) connections=$(number "${2-}"); shift ;;
	--seconds) seconds=$(number "${2-}"); shift ;;
	--root) [ $# -gt 1 ] || usage; root=$2; shift ;;
	*) usage ;;
	esac
	shift
done
[ "$seconds" -ge 4 ] || seconds=4
[ "$seconds" -le 600 ] || seconds=600

[ -x "$httpd" ] || { echo "demo: no $httpd; run \`make\` first" >&2; exit 1; }
command -v wrk >/dev/null || { echo 'demo: wrk is missing; make demo installs it' >&2; exit 1; }
[ -d "$root" ] || { echo "demo: no folder $root" >&2; exit 1; }

# Server and clients have a descriptor per connection each, and some of their own.
ulimit -n "$(ulimit -Hn)"
limit=$(ulimit -n)
if [ "$limit" != unlimited ] && [ "$limit" -lt $((connections + 128)) ]; then
	connections=$((limit - 128))
	echo "Only $limit file descriptors are allowed (ulimit -Hn): $connections connections instead."
fi

# All clients come from one address: its ports are the other bound.
read -r low high </proc/sys/net/ipv4/ip_local_port_range
if [ $((high - low)) -lt $((connections + 1000)) ]; then
	connections=$((high - low - 1000))
	echo "Only $((high - low)) local ports (net.ipv4.ip_local_port_range): $connections connections."
fi

tmp=$(mktemp -d)
server=
clients=

# End a process of ours: politely, then not. The shell's word on how it ended is of no interest.
end() {
	[ -n "$1" ] || return 0
	kill -TERM "$1" 2>/dev/null || return 0
	tries=60
	while kill -0 "$1" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null || :
	wait "$1" 2>/dev/null || :
}

clean_up() {
	trap '' INT TERM HUP
	end "$clients"
	if [ -z "$keep" ] || [ -z "$done" ]; then
		end "$server"
	fi
	rm -rf "$tmp"
}
done=
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# The small files of a site are what a server is measured with: the smallest above 512 bytes, or any.
smallest() {
	(cd "$root" && find . -type f "$@" -printf '%s %P\n') | grep -E '^[0-9]+ [A-Za-z0-9_./-]+$' |
		sort -n | head -1 | cut -d ' ' -f 2
}
file=$(smallest -size +1)
[ -n "$file" ] || file=$(smallest -size +0)
[ -n "$file" ] || { echo "demo: nothing to serve in $root" >&2; exit 1; }

now_us() { echo $(($(date +%s%N) / 1000)); }

# stats: the server's figures into $tmp/stats; it answers SIGUSR1 with a block that "end 1" closes
stats() {
	old=$(grep -c '^end 1$' "$tmp/err" || :)
	kill -USR1 "$server"
	tries=100
	while [ "$(grep -c '^end 1$' "$tmp/err")" = "$old" ]; do
		[ $((tries -= 1)) -gt 0 ] || { echo 'demo: the server does not answer' >&2; exit 1; }
		sleep 0.02
	done
	tail -n 40 "$tmp/err" | awk '/^requests / { n = 0 } { line[n++] = $0 }
		END { for (i = 0; i < n; i++) print line[i] }' >"$tmp/stats"
}
stat() { awk -v key="$1" '$1 == key { print $2 }' "$tmp/stats"; }

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
memory_kb() { awk '/^(VmRSS|VmPTE):/ { kb += $2 } END { print kb }' "/proc/$server/status"; }
ratio() { awk -v a="$1" -v b="$2" -v digits="$3" 'BEGIN { printf "%.*f", digits, b ? a / b : 0 }'; }

if [ -n "$keep" ]; then
	ignore='trap "" INT HUP'        # it outlives this script's terminal
else
	ignore=:
fi
(eval "$ignore"; exec "$httpd" -q -l 127.0.0.1:0 -r "$root" -i 120) \
	>"$tmp/out" 2>"$tmp/err" </dev/null &
server=$!
tries=100
until url=$(sed -n 's/^listening on /http:\/\//p' "$tmp/out") && [ -n "$url" ]; do
	if ! kill -0 "$server" 2>/dev/null || [ $((tries -= 1)) -le 0 ]; then
		echo 'demo: the server did not start:' >&2
		cat "$tmp/err" >&2
		exit 1
	fi
	sleep 0.1
done
stats
echo "httpd serves $root at $url, on $(stat procs) processors."
memory_before=$(memory_kb)

echo
echo "1. $connections connections that have asked once and now stand idle"
cat >"$tmp/idle.lua" <<'LUA'
-- A connection's first request comes after up to a second, its second one never.
local calls, mine = 0, 0
function init(args) mine = tonumber(args[1]) end
function delay()
	calls = calls + 1
	return calls <= mine and math.random(500, 1500) or 3600000
end
LUA
wrk -t 2 -c "$connections" -d 60s --timeout 60s -s "$tmp/idle.lua" "$url/$file" -- \
	$((connections / 2)) >"$tmp/idle" 2>&1 &
clients=$!
tries=40
while stats; [ "$(stat connections)" -lt "$connections" ] || [ "$(stat requests)" -lt "$connections" ]; do
	if [ $((tries -= 1)) -le 0 ] || ! kill -0 "$clients" 2>/dev/null; then
		break
	fi
	sleep 0.5
done
held=$(stat connections)
goroutines=$(stat goroutines)
memory_idle=$(memory_kb)
printf '   %s connections, %s goroutines, %s KB each (memory and page tables of the server)\n' \
	"$held" "$goroutines" "$(ratio $((memory_idle - memory_before)) "$held" 2)"
end "$clients"
clients=
tries=60
while stats; [ "$(stat connections)" -gt 0 ] && [ $((tries -= 1)) -gt 0 ]; do
	sleep 0.1
done

echo
echo "2. The same number, asking for /$file ($(wc -c <"$root/$file") bytes) for $seconds seconds"
wrk -t 2 -c "$connections" -d "${seconds}s" --timeout 10s --latency "$url/$file" >"$tmp/load" 2>&1 &
clients=$!

# One second of the run; the one in the middle is watched by perf where that is there.
second() {
	if [ "$i" = "$watched" ] && command -v perf >/dev/null; then
		perf stat -x , -e raw_syscalls:sys_enter -p "$server" -o "$tmp/perf" sleep 1 \
			>/dev/null 2>&1 || sleep 1
	else
		sleep 1
	fi
}

i=0
watched=$((seconds / 2))
calls_requests=0
calls_us=1
stats
t=$(now_us)
requests=$(stat requests)
while [ $((i += 1)) -lt "$seconds" ] && kill -0 "$clients" 2>/dev/null; do
	t_before=$t
	requests_before=$requests
	second
	stats
	t=$(now_us)
	requests=$(stat requests)
	printf '   %2d s: %6s connections %6s goroutines %8s requests/s\n' "$i" \
		"$(stat connections)" "$(stat goroutines)" \
		$(((requests - requests_before) * 1000000 / (t - t_before)))
	if [ $i = "$watched" ]; then
		calls_requests=$((requests - requests_before))
		calls_us=$((t - t_before))
	fi
	if [ $i = 1 ]; then     # all are connected: measure from here
		t_first=$t
		first=$requests
		ticks=$(cpu_ticks)
		enters=$(stat enters)
		steals=$(stat steals)
	fi
done
ticks=$(($(cpu_ticks) - ticks))
requests=$((requests - first))
enters=$(($(stat enters) - enters))
steals=$(($(stat steals) - steals))
elapsed=$((t - t_first))
tries=150
while kill -0 "$clients" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do
	sleep 0.1
done
end "$clients"
clients=
[ "$requests" -gt 0 ] || { echo 'demo: no request was answered' >&2; cat "$tmp/err" >&2; exit 1; }

calls=$(awk -F, '/raw_syscalls/ && $1 + 0 > 0 { print $1 }' "$tmp/perf" 2>/dev/null || :)
if [ -n "$calls" ]; then
	# perf watched one second, the requests were counted over a little more
	per_request=$(awk -v c="$calls" -v r="$calls_requests" -v us="$calls_us" \
		'BEGIN { printf "%.3f", r ? c * us / 1000000 / r : 0 }')
	source='all of the server, counted by perf'
else
	per_request=$(ratio "$enters" "$requests" 3)
	source="io_uring_enter only, counted by the runtime; perf (package linux-perf) counts all"
fi
cpu_us=$(awk -v t="$ticks" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%d", t * 1000000 / hz }')
latency() { awk -v p="$1" '$1 == p { print $2 }' "$tmp/load"; }
errors=$(grep -E 'Socket errors|Non-2xx' "$tmp/load" || :)

cat <<END

   requests per second          $((requests * 1000000 / elapsed))   (clients and server share the processors)
   latency                      $(latency 50%) median, $(latency 99%) of 99 %
   server CPU per request       $(ratio "$cpu_us" "$requests" 2) us
   system calls per request     $per_request   ($source)
   memory per idle connection   $(ratio $((memory_idle - memory_before)) "$held" 2) KB
   goroutines                   $goroutines
   steals between processors    $((steals * 1000000 / elapsed)) per second
END
[ -z "$errors" ] || echo "   wrk says:$errors"
done=1
if [ -n "$keep" ]; then
	echo
	echo "The server goes on at $url/$file; end it with: kill $server"
fi
