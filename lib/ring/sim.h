/* SPDX-License-Identifier: MIT */
/* What tests ask of the simulated ring, besides what goroutines do through the ordinary calls. */
#ifndef RG_RING_SIM_H
#define RG_RING_SIM_H

/* A connected pair of byte streams, as socketpair(2). Numbers that the kernel does not use. */
int rg_sim_stream(int fds[2]);

/* The other end reads what is there, then the end. */
void rg_sim_stream_close(int fd);

/* Forget all streams and epoll descriptors. How many of these, and of operations in rings, are left. */
unsigned rg_sim_ring_reset(void);

/* Of a stream, and of that or an epoll descriptor: the events that are there, 0, or -EBADF. */
int rg_sim_stream_poll(int fd, unsigned events);
int rg_sim_poll(int fd, unsigned events);

unsigned rg_sim_fds_reset(void);

#endif
