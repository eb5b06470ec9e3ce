/* SPDX-License-Identifier: MIT */
/* Recording what one's own goroutines do. See record.c. */
#ifndef RG_OBSERVE_RECORD_H
#define RG_OBSERVE_RECORD_H

#include <stdint.h>

struct rg_record;

/* Into fd, at most limit bytes; 0: no matter how many. 0 or -errno. Inside the gate, or on a thread of the runtime's. */
int rg_record_begin(struct rg_record **record, int fd, uint64_t limit);

/* Look at what has happened. Milliseconds until the next time; -errno: the file is full, or cannot be written. */
int rg_record_look(struct rg_record *r);

/* It is whole: 0, or -errno of writing. Frees r. */
int rg_record_end(struct rg_record *r);
void rg_record_drop(struct rg_record *r); /* as it is; also in a forked child */

#endif
