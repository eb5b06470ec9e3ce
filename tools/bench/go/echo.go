// SPDX-License-Identifier: MIT

// echo PORT [HOGS MS FILE]: TCP echo on loopback, a goroutine per connection. Beside it HOGS
// goroutines compute, for ever if MS is 0; otherwise each after MS starts another and ends.
// FILE: spin.h.
package main

import (
	"log"
	"net"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	chunkUs = 10
	hogsMax = 64
)

type hog struct {
	chunks uint64
	_      [56]byte
}

var hogs *[hogsMax]hog

func compute(i, chunk, chunks int) {
	for n := 0; chunks == 0 || n < chunks; n++ {
		spin(chunk)
		hogs[i].chunks++
	}
	go compute(i, chunk, chunks)
}

func mapHogs(path string) {
	size := int(unsafe.Sizeof(*hogs))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Truncate(int64(size))
	}
	if err != nil {
		log.Fatal(err)
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_SHARED)
	if err != nil {
		log.Fatal(err)
	}
	hogs = (*[hogsMax]hog)(unsafe.Pointer(&m[0]))
}

func startHogs(args []string) {
	n, _ := strconv.Atoi(args[0])
	ms, _ := strconv.Atoi(args[1])
	chunk := spins(chunkUs)
	mapHogs(args[2])
	for i := 0; i < n; i++ {
		go compute(i, chunk, ms*1000/chunkUs)
	}
}

func serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 2048)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) == 5 {
		startHogs(os.Args[2:])
	}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(c)
	}
}
