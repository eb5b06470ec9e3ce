#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs test programs on another kernel in QEMU, without KVM; speaks TAP.
#
#   tests/vm/boot.sh KERNEL [LIST]       KERNEL: a bzImage, or a vmlinux with PVH. LIST: a file, or stdin
#
# A line of LIST is a program of the build and its arguments, run in turn; with & at its end, one that stays,
# beside those that follow; or a module (*.ko) and its parameters, loaded at that point and taken out at the
# end. All are paths below $O, and have the same below /t in the machine.
#
# In the end the kernel is to have said nothing, to be untainted but by modules of ours, and, where it has
# lockdep and kmemleak, the one to be on still and the other to find nothing. Each CPU has a timer of its own of
# high resolution: without one, some tests would wait for ever.
#
#   O=build          where the programs are, and where the console's log is kept (O/vm)
#   FILES='a b'      more of $O to take along
#   PROCS='1 2'      values of RINGO_PROCS to run each program with
#   ENVIRON='A=1'    more environment for them
#   SHOW=1           what programs say that pass, too
#   EXPECTED=REGEX   a complaint that is the kernel's own affair, and does not count
#   TIMEOUT=120      seconds for one program; emulated CPUs are some 10 times slower
#   LIMIT=1800       seconds for all of it
#   CPUS=2 MEM=2048  what the machine has
#   ICOUNT=1         its clock goes on by a nanosecond with each instruction, and as ours does while it halts: so it
#                    is never too slow for its own timers, and takes as long as it takes
#
# Programs run as root. What the kernel needs built in: TMPFS, DEVTMPFS, ACPI, a serial console.
# Packages: qemu-system-x86 seabios busybox-static cpio. Exits 4, skipped, without them.
set -u
cd "$(dirname "$0")/../.." || exit 1

O=${O:-build}
FILES=${FILES:-}
PROCS=${PROCS:-1 2}
ENVIRON=${ENVIRON:-}
SHOW=${SHOW:-}
EXPECTED=${EXPECTED:-^$}
TIMEOUT=${TIMEOUT:-120}
LIMIT=${LIMIT:-1800}
CPUS=${CPUS:-2}
MEM=${MEM:-2048}
icount=()
[ -z "${ICOUNT:-}" ] || icount=(-icount shift=0)

# What no kernel is to say, in its log or on its console.
complaints='BUG:|WARNING:|Oops|general protection fault|unable to handle|possible (recursive|circular)'
complaints+='|INFO: (task|rcu|trying)|blocked for more than|soft lockup|hard LOCKUP|rcu.*stall'
complaints+='|scheduling while atomic|bad (page|unlock)|list_(add|del) corruption|refcount_t:|UBSAN:'
complaints+='|Kernel panic|segfault .*libc'

skip() {
	echo "1..0 # SKIP $1"
	exit 4
}

for tool in qemu-system-x86_64 busybox cpio; do
	command -v $tool >/dev/null || skip "no $tool: make deps-check installs it"
done
kernel=${1:?kernel}
[ -r "$kernel" ] || { echo "1..1"; echo "not ok 1 - there is no $kernel"; exit 1; }
mkdir -p "$O/vm"
console=$O/vm/console-$(basename "$kernel")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# ---- the initial ram disk --------------------------------------------------------------------------

root=$tmp/root
mkdir -p "$root"/{bin,dev,proc,sys,run,tmp,etc,t}
cp "$(command -v busybox)" "$root/bin/busybox"
echo '127.0.0.1 localhost' >"$root/etc/hosts"

take() {
	mkdir -p "$root/t/$(dirname "$1")"
	cp "$O/$1" "$root/t/$1" || exit 1
	taken+=("$O/$1")
}

taken=()
grep -vE '^[[:space:]]*(#|$)' "${2:-/dev/stdin}" >"$root/plan"
while read -r name _; do
	take "$name"
done <"$root/plan"
for name in $FILES; do
	take "$name"
done
# The loader and the libraries, where the programs look for them.
ldd "${taken[@]}" 2>/dev/null | sed -n 's,^[^/]*\(/[^ ]*\) (0x.*,\1,p' | sort -u |
	while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done

{
	echo "procs='$PROCS' environ='$ENVIRON' show='$SHOW' timeout=$TIMEOUT complaints='$complaints' expected='$EXPECTED'"
	cat <<'END'
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t debugfs debug /sys/kernel/debug
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
ip link set lo up
ulimit -Hn 524288
echo 3 >/proc/sys/kernel/printk
echo "# kernel $(uname -r), $(nproc) CPUs, $(awk '/MemFree/ { print $2 }' /proc/meminfo) kB free"

n=0
modules= services=

# verdict STATUS TEXT: one test, with the log of one that failed, or of all
verdict() {
	local how=ok note=
	n=$((n + 1))
	case $1 in
	0) ;;
	4) note=' # SKIP' ;;
	*) how='not ok' ;;
	esac
	echo "$how $n - $2$note"
	[ "$how$show" = ok ] || sed 's/^/# | /' /tmp/log
}

module() {
	insmod "/t/$@" >/tmp/log 2>&1
	verdict $? "$* is loaded"
	modules="$(basename "$1" .ko) $modules"
}

program() {
	local start status name
	start=$(cut -d. -f1 /proc/uptime)
	# shellcheck disable=SC2086 # a list of words
	env RINGO_PROCS=$p RINGO_TEST_EMULATED=1 $environ setsid timeout -k 5 $timeout "/t/$@" >/tmp/log 2>&1 </dev/null
	status=$?
	name="${*#tests/}, RINGO_PROCS=$p"
	if grep -q '^1\.\.' /tmp/log; then
		name="$name: $(grep -c '^ok' /tmp/log) ok, $(grep -c '^not ok' /tmp/log) failed"
	fi
	verdict $status "$name, status $status, $(($(cut -d. -f1 /proc/uptime) - start)) s"
	rm -rf /tmp/* /dev/shm/*
}

service() {
	# shellcheck disable=SC2086 # a list of words
	setsid /t/$1 >>/service.log 2>&1 </dev/null &
	services="$services $!"
}

for p in $procs; do
	while read -r line; do
		# shellcheck disable=SC2086 # a list of words
		case $line in
		*.ko | *.ko\ *) [ "$p" != "${procs%% *}" ] || module $line ;;
		*\&) [ "$p" != "${procs%% *}" ] || service "${line%&}" ;;
		*) program $line ;;
		esac
	done </plan
done
for pid in $services; do
	kill $pid
	wait $pid
	status=$?
	cp /service.log /tmp/log
	verdict $status "a service ends, status $status"
done
for name in $modules; do
	rmmod "$name" >/tmp/log 2>&1
	verdict $? "$name is taken out"
done

# What was allocated a moment ago is not looked at, nor what the scan before has not seen.
leaks() {
	local kmemleak=/sys/kernel/debug/kmemleak
	[ -e $kmemleak ] || return
	sleep 6
	{ echo scan >$kmemleak && echo scan >$kmemleak; } 2>/dev/null || echo 'kmemleak is off'
	cat $kmemleak
}

# From outside the tree and unsigned are ours: 1 << 12, 1 << 13. It has warned: 1 << 9.
taint() {
	local taint=$(($(cat /proc/sys/kernel/tainted) & ~0x3000))
	! dmesg | grep -qE "$expected" || taint=$((taint & ~0x200))
	[ $taint = 0 ] || echo "tainted: $taint"
}

{
	leaks
	taint
	grep -s 'debug_locks: *0' /proc/lockdep_stats
	grep -s 'hres_active *: *0' /proc/timer_list
	dmesg | grep -E "$complaints" | grep -vE "$expected"
} >/tmp/log
verdict $(($(wc -l </tmp/log) != 0)) 'the kernel does not complain'
# The whole of it is for the console's log.
[ ! -s /tmp/log ] || dmesg
echo "1..$n"
poweroff -f
END
} >"$root/main"
# A shell of its own: what kills it does not panic the kernel.
printf '%s\n' '#!/bin/busybox sh' '/bin/busybox sh /main' '/bin/busybox poweroff -f' >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$tmp/initrd"

# ---- the machine -----------------------------------------------------------------------------------

# All emulated CPUs take turns in one thread: with a thread each, QEMU 7.2 executes an int3 that the kernel has
# already replaced again when it patches its code, as attaching to a tracepoint does, and the kernel panics.
# tsc=reliable: else the clock is HPET, each reading of which leaves the emulated CPU.
timeout -k 5 "$LIMIT" qemu-system-x86_64 -M pc -accel tcg,thread=single -cpu max -smp "$CPUS" -m "$MEM" \
	"${icount[@]}" \
	-nodefaults -no-user-config -display none -serial stdio -no-reboot \
	-kernel "$kernel" -initrd "$tmp/initrd" \
	-append 'console=ttyS0 quiet panic=-1 tsc=reliable' </dev/null 2>&1 |
	sed -u 's,\r,,g' | tee "$console" | grep --line-buffered -aE "^(ok|not ok|# |1\.\.)|$complaints"
if ! grep -qa '^1\.\.' "$console"; then
	echo "not ok $(($(grep -cE '^(not )?ok' "$console") + 1)) - it came to its end within $LIMIT s: $console"
	exit 1
fi
! grep -avE "^# \||$EXPECTED" "$console" | grep -qaE "^not ok|$complaints"
