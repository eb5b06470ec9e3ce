// SPDX-License-Identifier: MIT

// preempt WORKLOAD ARG: goroutines that compute, or block in system calls, beside others; the twin
// of ringo/preempt.c.
package main

import (
	"log"
	"math"
	"runtime"
	"sort"
	"sync/atomic"
	"syscall"
	"time"
)

// ---- open load: requests of two lengths come at random times, whatever happens to earlier ones

const (
	requests  = 40000
	warmUp    = requests / 10
	shortUs   = 20.0
	longUs    = 20000.0
	longShare = 0.005
	load      = 0.5
)

// All times are CPU time of the process; see ringo/preempt.c.
var (
	due, finished          [requests]int64
	isLong                 [requests]bool
	skipped                int64
	underWay, longUnderWay int64
	seed                   uint64
	shortSpins, longSpins  int
)

func uniform() float64 {
	seed ^= seed << 13
	seed ^= seed >> 7
	seed ^= seed << 17
	return float64((seed>>11)+1) / 9007199254740992.0
}

func plan() {
	gap := ((1-longShare)*shortUs + longShare*longUs) * 1000 / load
	t := 0.0
	for i := range due {
		t -= math.Log(uniform()) * gap
		due[i] = int64(t)
		isLong[i] = uniform() < longShare
	}
}

func busyClock() int64 { return cpuNs() + atomic.LoadInt64(&skipped) }

func request(i int) {
	if isLong[i] {
		spin(longSpins)
	} else {
		spin(shortSpins)
	}
	finished[i] = busyClock()
	if isLong[i] {
		atomic.AddInt64(&longUnderWay, -1)
	}
	atomic.AddInt64(&underWay, -1)
}

func begin(i int) {
	atomic.AddInt64(&underWay, 1)
	if isLong[i] {
		atomic.AddInt64(&longUnderWay, 1)
	}
	go request(i)
}

// letOthersRun until the next request is due, as far as they let us.
func letOthersRun(untilDue int64) {
	if atomic.LoadInt64(&underWay) == 0 {
		atomic.AddInt64(&skipped, untilDue)
	} else if atomic.LoadInt64(&longUnderWay) != 0 {
		time.Sleep(time.Duration(untilDue))
	} else {
		runtime.Gosched()
	}
}

func reportSlowdown() {
	var late []float64
	for i := warmUp; i < requests; i++ {
		if !isLong[i] {
			late = append(late, float64(finished[i]-due[i])/1000/shortUs)
		}
	}
	sort.Float64s(late)
	report("p50", late[len(late)/2])
	report("p99", late[len(late)*99/100])
	report("p999", late[len(late)*999/1000])
}

func openLoad(s int) {
	seed = 88172645463325252 + uint64(s)
	plan()
	shortSpins, longSpins = spins(shortUs), spins(longUs)
	skipped = -cpuNs()
	for i := 0; i < requests; {
		if now := busyClock(); due[i] <= now {
			begin(i)
			i++
		} else {
			letOthersRun(due[i] - now)
		}
	}
	for atomic.LoadInt64(&underWay) != 0 {
		time.Sleep(time.Millisecond)
	}
	reportSlowdown()
}

// ---- the gaps of a ticker beside a loop, a new goroutine each time

const loops = 4

func gap(ms int) {
	var gaps []float64
	var computing int32
	t, n := time.NewTicker(time.Millisecond), spins(float64(ms)*1000)
	for i := 0; i < loops; i++ {
		for j := 0; j < 10; j++ {
			<-t.C
		}
		computing = 1
		go func() {
			spin(n)
			atomic.StoreInt32(&computing, 0)
		}()
		for last := time.Now(); atomic.LoadInt32(&computing) != 0; {
			<-t.C
			now := time.Now()
			gaps = append(gaps, float64(now.Sub(last).Nanoseconds())/1e6)
			last = now
		}
	}
	sort.Float64s(gaps)
	report("p99_ms", gaps[len(gaps)*99/100])
	report("worst_ms", gaps[len(gaps)-1])
}

// ---- one goroutine that computes, and nobody who waits

func cpuJob(pieces int) {
	n, best := spins(5000), int64(math.MaxInt64)
	for i := 0; i < pieces; i++ {
		t0 := cpuNs()
		spin(n)
		if t := cpuNs() - t0; t < best {
			best = t
		}
	}
	report("ns", float64(best)/float64(n))
}

// ---- a ticker beside a goroutine that blocks every 25 ms; see also load/block.c

func open(path string, mode int) int {
	fd, err := syscall.Open(path, mode, 0)
	if err != nil {
		log.Fatal(path, err)
	}
	return fd
}

func inSleep() {
	t := syscall.Timespec{Nsec: 20000000}
	for {
		syscall.Nanosleep(&t, nil)
		time.Sleep(5 * time.Millisecond)
	}
}

func inRead() {
	var b [1]byte
	for fd := open("pipe", syscall.O_RDONLY); ; {
		if _, err := syscall.Read(fd, b[:]); err != nil && err != syscall.EINTR {
			log.Fatal(err)
		}
		runtime.Gosched()
	}
}

func inFlock() {
	for fd := open("lock", syscall.O_RDWR); ; {
		if err := syscall.Flock(fd, syscall.LOCK_EX); err == nil {
			syscall.Flock(fd, syscall.LOCK_UN)
		} else if err != syscall.EINTR {
			log.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func beside(blocked func()) func(int) {
	return func(ticks int) {
		go blocked()
		ticker(ticks)
	}
}

func main() {
	runWorkload(map[string]func(int){
		"open_load": openLoad, "gap": gap, "cpu_job": cpuJob,
		"blocked_sleep": beside(inSleep), "blocked_read": beside(inRead),
		"blocked_flock": beside(inFlock), "blocked_never": ticker,
	})
}
