// SPDX-License-Identifier: MIT

// What the workload programs for Go share; the twin of ringo/workload.h.
package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

func report(key string, value float64) { fmt.Printf("%s %.6g\n", key, value) }

func reportNs(t0 time.Time, n int) {
	report("ns", float64(time.Since(t0).Nanoseconds())/float64(n))
}

// parallel has k goroutines run body(i, n / k) and reports the time of one of the n.
func parallel(k, n int, body func(i, n int)) {
	var wg sync.WaitGroup
	t0 := time.Now()
	wg.Add(k)
	for i := 0; i < k; i++ {
		go func(i int) {
			body(i, n/k)
			wg.Done()
		}(i)
	}
	wg.Wait()
	reportNs(t0, n)
}

// ticker reports how late n ticks of a millisecond come.
func ticker(n int) {
	const period = int64(time.Millisecond)
	late := make([]int64, n)
	t0 := time.Now()
	t := time.NewTicker(time.Millisecond)
	due := period
	for i := range late {
		<-t.C
		late[i] = time.Since(t0).Nanoseconds() - due
		if late[i] < -period/2 { // it was kept for us, and not dropped
			late[i] += period
			due -= period
		}
		due += period
		if late[i] >= period {
			due += late[i] / period * period
		}
	}
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	report("p50_us", float64(late[n/2])/1000)
	report("p99_us", float64(late[n*99/100])/1000)
}

// runWorkload is the whole of main; the number of Ps comes from GOMAXPROCS.
func runWorkload(workloads map[string]func(int)) {
	if len(os.Args) != 3 || workloads[os.Args[1]] == nil {
		os.Exit(2)
	}
	arg, err := strconv.Atoi(os.Args[2])
	if err != nil {
		os.Exit(2)
	}
	workloads[os.Args[1]](arg)
}
