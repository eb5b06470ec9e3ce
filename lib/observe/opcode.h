/* SPDX-License-Identifier: MIT */
/* Names of the operations that goroutines submit. Shared with the tools. */
#ifndef RG_OBSERVE_OPCODE_H
#define RG_OBSERVE_OPCODE_H

#include <linux/io_uring.h>
#include <stdint.h>

static inline const char *rg_opcode_name(uint32_t opcode)
{
	static const char *const names[] = {
		[IORING_OP_NOP] = "nop", [IORING_OP_READV] = "readv", [IORING_OP_WRITEV] = "writev",
		[IORING_OP_FSYNC] = "fsync", [IORING_OP_POLL_ADD] = "poll", [IORING_OP_SENDMSG] = "sendmsg",
		[IORING_OP_RECVMSG] = "recvmsg", [IORING_OP_ACCEPT] = "accept", [IORING_OP_CONNECT] = "connect",
		[IORING_OP_FALLOCATE] = "fallocate", [IORING_OP_OPENAT] = "openat", [IORING_OP_CLOSE] = "close",
		[IORING_OP_STATX] = "statx", [IORING_OP_READ] = "read", [IORING_OP_WRITE] = "write",
		[IORING_OP_SEND] = "send", [IORING_OP_RECV] = "recv", [IORING_OP_SPLICE] = "splice",
		[IORING_OP_SHUTDOWN] = "shutdown", [IORING_OP_RENAMEAT] = "renameat",
		[IORING_OP_UNLINKAT] = "unlinkat", [IORING_OP_MKDIRAT] = "mkdirat", [50] = "waitid",
	};

	return opcode < sizeof(names) / sizeof(names[0]) && names[opcode] ? names[opcode] : "operation";
}

#endif
