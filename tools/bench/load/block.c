// SPDX-License-Identifier: MIT
/*
 * block: the other side of those who block in a read of the fifo `pipe` and on a flock of the file
 * `lock`, both in the current directory. A byte comes every 25 ms, and the lock is free for 5 ms of
 * these.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../bench.h"

static void sleep_ms(long ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

int main(void)
{
	int lock = open("lock", O_RDWR | O_CREAT, 0600), fifo;

	unlink("pipe");
	if (lock < 0 || mkfifo("pipe", 0600))
		bench_die("lock, pipe");
	fifo = open("pipe", O_RDWR);
	if (fifo < 0)
		bench_die("pipe");
	bench_report("ready", 1);
	for (;;) {
		flock(lock, LOCK_EX);
		sleep_ms(20);
		if (write(fifo, "", 1) != 1)
			bench_die("pipe");
		flock(lock, LOCK_UN);
		sleep_ms(5);
	}
}
