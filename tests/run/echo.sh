#!/bin/bash
# SPDX-License-Identifier: MIT
# The README's server answers, and the README shows it as it is.
set -u
cd "$(dirname "$0")/../.." || exit 1
examples=${EXAMPLES:-build/examples}
port=$((20000 + RANDOM % 20000))

echo 1..2
"$examples/echo" "127.0.0.1:$port" & server=$!
trap 'kill $server 2>/dev/null' EXIT
answer=
for _ in $(seq 50); do
	if { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
		echo hello >&3
		read -r -t 5 answer <&3
		break
	fi
	sleep 0.1
done
[ "$answer" = hello ] && echo "ok 1 - a line comes back" || echo "not ok 1 - a line comes back"

# The listing of the README is the middle of docs/examples/echo.c.
# shellcheck disable=SC2016 # the backquotes are Markdown's
shown=$(sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' | sed '/^#include/d;/^$/d;/^int main/,$d')
real=$(sed -n '/^static void serve/,/^int main/p' docs/examples/echo.c | sed '/^$/d;/^int main/,$d')
[ "$shown" = "$real" ] && echo "ok 2 - the README shows the program" ||
	echo "not ok 2 - the README shows the program"
