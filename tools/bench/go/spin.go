// SPDX-License-Identifier: MIT

// Tight loops, and the CPU time they take; the twin of spin.h.
package main

import (
	"syscall"
	"unsafe"
)

const clockProcessCpu = 2

// cpuNs is the CPU time of all threads.
func cpuNs() int64 {
	var t syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockProcessCpu,
		uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

var spun uint64

//go:noinline
func spinFrom(x uint64, n int) uint64 {
	for i := 0; i < n; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func spin(n int) { spun = spinFrom(uint64(n), n) }

// spins is how many rounds of spin make that many microseconds of CPU time.
func spins(us float64) int {
	const n = 100000
	best := int64(0)
	for i := 0; i < 50; i++ {
		t0 := cpuNs()
		spin(n)
		if t := cpuNs() - t0; best == 0 || t < best {
			best = t
		}
	}
	return int(us * 1000 * n / float64(best))
}
