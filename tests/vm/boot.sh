#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs test programs on another kernel, by default Debian's own 6.1, in QEMU without KVM; speaks TAP.
#
#   tests/vm/boot.sh [PROGRAM...]        default: all of tests/unit and tests/run, built in $O
#
#   O=build          where the programs are, and where the kernel and the log are kept (O/vm)
#   KERNEL=FILE      a bzImage instead; needed on it: TMPFS, DEVTMPFS, ACPI, a serial console
#   PROCS='1 2'      values of RINGO_PROCS to run each program with
#   ENVIRON='A=1'    more environment for them
#   TIMEOUT=120      seconds for one program; emulated CPUs are some 10 times slower
#   LIMIT=1800       seconds for all of it
#   CPUS=2 MEM=2048  what the machine has
#
# Packages: qemu-system-x86 seabios busybox-static cpio. Exits 4, skipped, without them.
# Programs run one after the other; the console's log is in O/vm/console.
set -u
cd "$(dirname "$0")/../.." || exit 1

O=${O:-build}
KERNEL=${KERNEL:-}
PROCS=${PROCS:-1 2}
ENVIRON=${ENVIRON:-}
TIMEOUT=${TIMEOUT:-120}
LIMIT=${LIMIT:-1800}
CPUS=${CPUS:-2}
MEM=${MEM:-2048}

skip() {
	echo "1..0 # SKIP $1"
	exit 4
}

for tool in qemu-system-x86_64 busybox cpio; do
	command -v $tool >/dev/null || skip "no $tool"
done
mkdir -p "$O/vm"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The image is unpacked, not installed. APT::Sandbox: else a warning that the folder is root's own.
fetch_kernel() {
	local package
	package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-6\.1\..*\)/\1/p')
	[ -n "$package" ] || return 1
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$package") &&
		dpkg-deb --fsys-tarfile "$tmp/$package"_*.deb | tar -xC "$tmp" --wildcards './boot/vmlinuz-*' &&
		mv "$tmp"/boot/vmlinuz-* "$O/vm/vmlinuz-6.1"
}

if [ -z "$KERNEL" ]; then
	KERNEL=$O/vm/vmlinuz-6.1
	[ -e "$KERNEL" ] || fetch_kernel || skip "no package of a 6.1 kernel"
fi

# ---- the initial ram disk --------------------------------------------------------------------------

if [ $# = 0 ]; then
	for source in tests/unit/*.c tests/run/*.c; do
		[ ! -x "$O/${source%.c}" ] || set -- "$@" "$O/${source%.c}"
	done
fi
[ $# != 0 ] || skip "no programs in $O: make tests"

root=$tmp/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc,t}
cp "$(command -v busybox)" "$root/bin/busybox"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
for program; do
	name=${program#"$O"/}
	name=${name#tests/}
	mkdir -p "$root/t/$(dirname "$name")"
	cp "$program" "$root/t/$name"
	echo "$name" >>"$root/plan"
done
# The loader and the libraries, where the programs look for them.
ldd "$@" 2>/dev/null | sed -n 's,^[^/]*\(/[^ ]*\) (0x.*,\1,p' | sort -u |
	while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done

{
	echo "procs='$PROCS' environ='$ENVIRON' timeout=$TIMEOUT"
	cat <<'END'
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
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
for p in $procs; do
	while read -r name; do
		start=$(cut -d. -f1 /proc/uptime)
		# shellcheck disable=SC2086 # a list of words
		env RINGO_PROCS=$p $environ setsid timeout -k 5 $timeout /t/$name >/tmp/log 2>&1 </dev/null
		status=$?
		n=$((n + 1))
		verdict=ok note=
		case $status in
		0)	;;
		4)	note=' # SKIP' ;;
		*)	verdict='not ok' ;;
		esac
		echo "$verdict $n - $name, RINGO_PROCS=$p: $(grep -c '^ok' /tmp/log) ok," \
			"$(grep -c '^not ok' /tmp/log) failed, status $status," \
			"$(($(cut -d. -f1 /proc/uptime) - start)) s$note"
		[ "$verdict" = ok ] || sed 's/^/# | /' /tmp/log
		rm -rf /tmp/* /dev/shm/*
	done </plan
done

n=$((n + 1))
if dmesg | grep -E 'BUG:|WARNING:|Oops|blocked for more than|soft lockup|rcu.*stall|segfault .*libc' >/tmp/log; then
	echo "not ok $n - the kernel complains"
	sed 's/^/# | /' /tmp/log
else
	echo "ok $n - the kernel does not complain"
fi
echo "1..$n"
poweroff -f
END
} >"$root/main"
# A shell of its own: what kills it does not panic the kernel.
printf '%s\n' '#!/bin/busybox sh' '/bin/busybox sh /main' '/bin/busybox poweroff -f' >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$tmp/initrd"

# ---- the machine -----------------------------------------------------------------------------------

# tsc=reliable: else the clock is HPET, each reading of which leaves the emulated CPU.
timeout -k 5 "$LIMIT" qemu-system-x86_64 -M pc -accel tcg,thread=multi -cpu max -smp "$CPUS" -m "$MEM" \
	-nodefaults -no-user-config -display none -serial stdio -no-reboot \
	-kernel "$KERNEL" -initrd "$tmp/initrd" \
	-append 'console=ttyS0 quiet panic=-1 tsc=reliable' </dev/null 2>&1 |
	tr -d '\r' | tee "$O/vm/console" | grep --line-buffered -aE '^(ok|not ok|# |1\.\.)|panic'
if ! grep -qa '^1\.\.' "$O/vm/console"; then
	echo "not ok - the machine came to its end: $O/vm/console"
	exit 1
fi
! grep -qa '^not ok' "$O/vm/console"
