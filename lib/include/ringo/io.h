/* SPDX-License-Identifier: MIT */
/*
 * Files, pipes, processes, signals. Each call takes the POSIX call's arguments and returns its result
 * or -errno. Unless said otherwise it waits (the goroutine, never its OS thread) and may return
 * -ETIMEDOUT (ambient deadline), -EPERM (not a goroutine), -ESRCH (no runtime) besides the POSIX errors.
 *
 * New descriptors are close-on-exec. O_NONBLOCK descriptors wait all the same: EAGAIN and EINTR are
 * never seen. Offsets of -1 in the p-calls are an error as in POSIX. Closing a descriptor does not wake
 * goroutines that wait on it: use ringo_shutdown() or a deadline for that.
 * Descriptor numbers >= 1 << 30 are reserved.
 *
 * What waits for a disk needs a thread of the kernel or of the blocking pool. At the limit of threads such
 * calls on files return -EAGAIN, and stderr says so once.
 */
#ifndef RINGO_IO_H
#define RINGO_IO_H

#include <fcntl.h>
#include <poll.h>
#include <ringo/base.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

RINGO__C_BEGIN

struct ringo_chan;
struct statx;

/* As open(2) and openat(2), always with O_CLOEXEC. */
RINGO__API RINGO__MUST int ringo_open(const char *path, int flags, ...);
RINGO__API RINGO__MUST int ringo_openat(int dir, const char *path, int flags, ...);

/*
 * Always closes, whatever the deadline; a close that lingers or flushes holds up nobody else. From a thread
 * that is no goroutine, or without a runtime: close(2).
 *
 * As with threads it ends no call that waits on fd at that moment. Such a call has the file until something
 * comes or its context or deadline ends it: till then a connection stays open, and a listening socket goes on
 * listening; who waits for fd in ringo_poll or ringo_select may never hear of it again. End them before:
 * ringo_shutdown wakes those on a socket, a context those on anything.
 */
RINGO__API int ringo_close(int fd);

/*
 * One transfer: it may move less than asked, pipes and sockets often do. Writing to a pipe or socket that
 * nobody reads is -EPIPE. The SIGPIPE that goes with it does nothing from the first write in a run to its
 * end, unless the program handles it; a handler of the program's own is called. The p-calls: -ESPIPE for
 * what has no offsets, -EINVAL for negative ones.
 */
RINGO__API RINGO__MUST ssize_t ringo_read(int fd, void *buf, size_t n);
RINGO__API RINGO__MUST ssize_t ringo_write(int fd, const void *buf, size_t n);
RINGO__API RINGO__MUST ssize_t ringo_pread(int fd, void *buf, size_t n, off_t off);
RINGO__API RINGO__MUST ssize_t ringo_pwrite(int fd, const void *buf, size_t n, off_t off);
RINGO__API RINGO__MUST ssize_t ringo_readv(int fd, const struct iovec *iov, int n);
RINGO__API RINGO__MUST ssize_t ringo_writev(int fd, const struct iovec *iov, int n);
RINGO__API RINGO__MUST ssize_t ringo_preadv(int fd, const struct iovec *iov, int n, off_t off);
RINGO__API RINGO__MUST ssize_t ringo_pwritev(int fd, const struct iovec *iov, int n, off_t off);

/*
 * Write all of buf; read until buf is full or the end. Return the bytes done when some were, even if
 * then cut short by an error or the deadline; else -errno. read_full: fewer than n = end of file.
 */
RINGO__API RINGO__MUST ssize_t ringo_write_all(int fd, const void *buf, size_t n);
RINGO__API RINGO__MUST ssize_t ringo_read_full(int fd, void *buf, size_t n);

/*
 * On files as a whole and by name, as the POSIX calls and statx(2). An operation that the deadline cuts
 * short may have happened or not.
 */
RINGO__API RINGO__MUST int ringo_fsync(int fd);
RINGO__API RINGO__MUST int ringo_fdatasync(int fd);
RINGO__API RINGO__MUST int ringo_ftruncate(int fd, off_t len);
RINGO__API RINGO__MUST int ringo_fallocate(int fd, int mode, off_t off, off_t len);
RINGO__API RINGO__MUST int ringo_statx(int dir, const char *path, int flags, unsigned mask,
				       struct statx *buf);
RINGO__API RINGO__MUST int ringo_rename(const char *from, const char *to);
RINGO__API RINGO__MUST int ringo_unlink(const char *path);
RINGO__API RINGO__MUST int ringo_mkdir(const char *path, mode_t mode);

/*
 * As poll(2), timeout_ms < 0: no timeout of its own; 0 when its own ends the wait. To wait for two
 * descriptors or more takes one more for that time: -EMFILE, -ENFILE.
 */
RINGO__API RINGO__MUST int ringo_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

/* As splice(2). Offsets are moved on; SPLICE_F_NONBLOCK asks for -EAGAIN. */
RINGO__API RINGO__MUST ssize_t ringo_splice(int in, off_t *off_in, int out, off_t *off_out, size_t n,
					    unsigned flags);

/* As pipe(2), with O_CLOEXEC. Never waits; any thread, with or without a runtime. */
RINGO__API RINGO__MUST int ringo_pipe(int fds[2]);

/*
 * As waitpid(2). A deadline ends the wait and collects nothing. Where the kernel's rings cannot wait for
 * children (before 6.7), a wait for any child or for stops notices them up to 26 ms late.
 */
RINGO__API RINGO__MUST pid_t ringo_waitpid(pid_t pid, int *status, int options);

/*
 * Deliver each arrival of signal signo as an int to the channel, by try_send: a full channel loses it,
 * so give it a buffer. Several channels may ask for one signal; one that asks twice gets it once. stop
 * undoes it; one that was on its way may still arrive. The last stop restores the former handler, as does
 * the end of the run. 0, -EINVAL (element size is not that of int, or a signal that cannot be caught),
 * -ENOENT (stop: was not on), -EMFILE, -EAGAIN, -ENOMEM, -ESRCH. Any thread; never waits.
 */
RINGO__API RINGO__MUST int ringo_signal_notify(struct ringo_chan *of_int, int signo);
RINGO__API int ringo_signal_stop(struct ringo_chan *of_int, int signo);

RINGO__C_END

#endif
