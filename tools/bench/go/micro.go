// SPDX-License-Identifier: MIT

// micro WORKLOAD ARG: the small workloads, for Go; the twin of ringo/micro.c.
package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// status returns the bytes named by a field of /proc/self/status.
func status(field string) float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == field {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024
		}
	}
	return 0
}

func spawnBatches(n, batch int) {
	var wg sync.WaitGroup
	for i := 0; i < n; i += batch {
		wg.Add(batch)
		for j := 0; j < batch; j++ {
			go wg.Done()
		}
		wg.Wait()
	}
}

func spawn(batch int) {
	const n = 1000000
	spawnBatches(n/10, batch)
	t0 := time.Now()
	spawnBatches(n, batch)
	reportNs(t0, n)
}

func yield(k int) {
	parallel(k, 2000000, func(_, n int) {
		for i := 0; i < n; i++ {
			runtime.Gosched()
		}
	})
}

func sleepers(n int) {
	t0 := time.Now()
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			time.Sleep(time.Second)
			wg.Done()
		}()
	}
	wg.Wait()
	report("excess_ms", float64((time.Since(t0)-time.Second).Nanoseconds())/1e6)
	report("peak_mib", (status("VmHWM:")+status("VmPTE:"))/(1<<20))
}

func memory(n int) {
	never := make(chan int)
	var started int64
	for i := 0; i < n; i++ {
		go func() {
			atomic.AddInt64(&started, 1)
			<-never
		}()
	}
	for atomic.LoadInt64(&started) < int64(n) {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	report("bytes", (status("VmRSS:")+status("VmPTE:"))/float64(n))
	runtime.KeepAlive(never)
}

func chanRt(n int) {
	a, b := make(chan int), make(chan int)
	go func() {
		for v := range a {
			b <- v
		}
	}()
	t0 := time.Now()
	for i := 0; i < n; i++ {
		a <- i
		<-b
	}
	reportNs(t0, n)
	close(a)
}

func chanBuf(cap int) {
	const n = 1000000
	c := make(chan int, cap)
	t0 := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			c <- i
		}
		close(c)
	}()
	for range c {
	}
	reportNs(t0, n)
}

func prodcons(k int) {
	c := make(chan int, 64)
	parallel(2*k, 2000000, func(me, n int) {
		for i := 0; i < n; i++ {
			if me%2 != 0 {
				c <- i
			} else {
				<-c
			}
		}
	})
}

func mutex(n int) {
	var m sync.Mutex
	t0 := time.Now()
	for i := 0; i < n; i++ {
		m.Lock()
		m.Unlock()
	}
	reportNs(t0, n)
}

func mutexShared(k int) {
	var m sync.Mutex
	count := 0
	parallel(k, 2000000, func(_, n int) {
		for i := 0; i < n; i++ {
			m.Lock()
			count++
			m.Unlock()
		}
	})
}

func mutexHeld(k int) {
	var m sync.Mutex
	parallel(k, 200000, func(_, n int) {
		for i := 0; i < n; i++ {
			m.Lock()
			runtime.Gosched()
			m.Unlock()
		}
	})
}

func waitgroup(n int) {
	var wg sync.WaitGroup
	t0 := time.Now()
	for i := 0; i < n; i++ {
		wg.Add(1)
		wg.Done()
		wg.Wait()
	}
	reportNs(t0, n)
}

func main() {
	runWorkload(map[string]func(int){
		"spawn": spawn, "yield": yield, "sleepers": sleepers, "memory": memory,
		"chan_rt": chanRt, "chan_buf": chanBuf, "prodcons": prodcons,
		"mutex": mutex, "mutex_shared": mutexShared, "mutex_held": mutexHeld,
		"waitgroup": waitgroup,
	})
}
