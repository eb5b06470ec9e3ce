// SPDX-License-Identifier: MIT

// lang WORKLOAD ARG: select, locks, contexts, timers, defer and panic, for Go; the twin of
// ringo/lang.c.
package main

import (
	"context"
	"runtime"
	"sync"
	"time"
)

func procs() int { return runtime.GOMAXPROCS(0) }

func selectUncontended(n int) {
	parallel(procs(), n, func(_, n int) {
		a, b := make(chan int, 1), make(chan int, 1)
		a <- 0
		for i := 0; i < n; i++ {
			select {
			case <-a:
				b <- 0
			case <-b:
				a <- 0
			}
		}
	})
}

func selectSync(n int) {
	a, b, c, done := make(chan int), make(chan int), make(chan int), make(chan int)
	parallel(procs(), n, func(_, n int) {
		go func() {
			for {
				select {
				case a <- 0:
				case b <- 0:
				case c <- 0:
				case <-done:
					return
				}
			}
		}()
		for i := 0; i < n; i++ {
			select {
			case <-a:
			case <-b:
			case <-c:
			}
		}
	})
	close(done)
}

func selectAsync(n int) {
	a, b := make(chan int, procs()), make(chan int, procs())
	parallel(procs(), n, func(_, n int) {
		a <- 0
		for i := 0; i < n; i++ {
			select {
			case <-a:
				b <- 0
			case <-b:
				a <- 0
			}
		}
	})
}

// Go compiles these to what chan_try of ringo calls.
func selectNonblock(n int) {
	a, b, c, d := make(chan int), make(chan int), make(chan int, 1), make(chan int, 1)
	parallel(procs(), n, func(_, n int) {
		for i := 0; i < n; i++ {
			select {
			case <-a:
			default:
			}
			select {
			case b <- 0:
			default:
			}
			select {
			case <-c:
			default:
			}
			select {
			case d <- 0:
			default:
			}
		}
	})
}

func four(cap int) [4]chan int {
	var c [4]chan int
	for i := range c {
		c[i] = make(chan int, cap)
	}
	return c
}

func select4(c *[4]chan int) {
	select {
	case <-c[0]:
	case <-c[1]:
	case <-c[2]:
	case <-c[3]:
	}
}

func select4Ready(n int) {
	c := four(1)
	t0 := time.Now()
	for i := 0; i < n; i++ {
		c[i%4] <- i
		select4(&c)
	}
	reportNs(t0, n)
}

func select4Block(n int) {
	c, ack := four(0), make(chan int)
	go func() {
		for i := 0; ; i++ {
			c[i%4] <- i
			if _, ok := <-ack; !ok {
				return
			}
		}
	}()
	t0 := time.Now()
	for i := 0; i < n; i++ {
		select4(&c)
		ack <- i
	}
	reportNs(t0, n)
}

func rwmutex(k int) {
	var m sync.RWMutex
	count := 0
	parallel(k, 5000000, func(_, n int) {
		for i := 0; i < n; i++ {
			if i%100 == 0 {
				m.Lock()
				count++
				m.Unlock()
			} else {
				m.RLock()
				m.RUnlock()
			}
		}
	})
}

func cond(n int) {
	var m sync.Mutex
	turn, c := 0, sync.NewCond(&m)
	parallel(2, n, func(me, n int) {
		m.Lock()
		for i := 0; i < n; i++ {
			for turn != me {
				c.Wait()
			}
			turn = 1 - me
			c.Signal()
		}
		m.Unlock()
	})
}

func once(n int) {
	var o sync.Once
	t0 := time.Now()
	for i := 0; i < n; i++ {
		o.Do(func() {})
	}
	reportNs(t0, n)
}

func ctxFlat(n int) {
	const rounds = 300
	t0 := time.Now()
	for i := 0; i < rounds; i++ {
		root, cancel := context.WithCancel(context.Background())
		for j := 0; j < n; j++ {
			_, stop := context.WithCancel(root)
			_ = stop
		}
		cancel()
	}
	reportNs(t0, rounds*n)
}

func ctxChain(n int) {
	const rounds = 3000
	t0 := time.Now()
	for i := 0; i < rounds; i++ {
		root, cancel := context.WithCancel(context.Background())
		for ctx, j := root, 0; j < n; j++ {
			next, stop := context.WithCancel(ctx)
			ctx, _ = next, stop
		}
		cancel()
	}
	reportNs(t0, rounds*n)
}

func ctxTimeout(n int) {
	parent, cancel := context.WithCancel(context.Background())
	t0 := time.Now()
	for i := 0; i < n; i++ {
		_, stop := context.WithTimeout(parent, time.Second)
		stop()
	}
	reportNs(t0, n)
	cancel()
}

func timerStop(batch int) {
	n := 1000000 / batch * batch
	timers := make([]*time.Timer, batch)
	t0 := time.Now()
	for i := 0; i < n; i += batch {
		for j := range timers {
			timers[j] = time.AfterFunc(time.Hour, func() {})
		}
		for _, t := range timers {
			t.Stop()
		}
	}
	reportNs(t0, n)
}

func timerFire(n int) {
	const rounds = 10
	var wg sync.WaitGroup
	t0 := cpuNs()
	for i := 0; i < rounds; i++ {
		wg.Add(n)
		for j := 0; j < n; j++ {
			time.AfterFunc(5*time.Millisecond, wg.Done)
		}
		wg.Wait()
	}
	report("ns", float64(cpuNs()-t0)/float64(rounds*n))
}

var calls int

//go:noinline
func countCall() { calls++ }

//go:noinline
func deferring() {
	defer countCall()
}

func deferCall(n int) {
	t0 := time.Now()
	for i := 0; i < n; i++ {
		deferring()
	}
	reportNs(t0, n)
}

//go:noinline
func panics() { panic("benchmark") }

func try(fn func()) (caught any) {
	defer func() { caught = recover() }()
	fn()
	return nil
}

func panicTry(n int) {
	t0 := time.Now()
	for i := 0; i < n; i++ {
		if try(panics) == nil {
			panic("not caught")
		}
	}
	reportNs(t0, n)
}

func main() {
	runWorkload(map[string]func(int){
		"select_uncontended": selectUncontended, "select_sync": selectSync,
		"select_async": selectAsync, "select_nonblock": selectNonblock,
		"chan_try": selectNonblock, "select4_ready": select4Ready,
		"select4_block": select4Block, "rwmutex": rwmutex, "cond": cond, "once": once,
		"ctx_flat": ctxFlat, "ctx_chain": ctxChain, "ctx_timeout": ctxTimeout,
		"timer_stop": timerStop, "timer_fire": timerFire, "ticker": ticker,
		"defer": deferCall, "panic": panicTry,
	})
}
