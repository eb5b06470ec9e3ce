/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, for perf, bpftrace and tracefs: ringo:m_register and so on. The thread is the
 * current one; page, p and g (cur_g) are those of uapi/ringo.h.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ringo

#if !defined(RINGO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RINGO_TRACE_H

#include <linux/tracepoint.h>

/* A thread has added itself. */
TRACE_EVENT(m_register,
	    TP_PROTO(u32 page),
	    TP_ARGS(page),
	    TP_STRUCT__entry(__field(u32, page)),
	    TP_fast_assign(__entry->page = page;),
	    TP_printk("page=%u", __entry->page)
);

/* A tick found a goroutine that has run for a quantum while somebody waits. */
TRACE_EVENT(tick_revoke,
	    TP_PROTO(u32 page, u32 g, u32 p, u32 how),
	    TP_ARGS(page, g, p, how),
	    TP_STRUCT__entry(__field(u32, page)
			     __field(u32, g)
			     __field(u32, p)
			     __field(u32, how)),
	    TP_fast_assign(__entry->page = page;
			   __entry->g = g;
			   __entry->p = p;
			   __entry->how = how;),
	    TP_printk("page=%u g=%u p=%u %s", __entry->page, __entry->g, __entry->p,
		      __print_symbolic(__entry->how,
				       { RINGO_TICK_TAKEN, "taken" },
				       { RINGO_TICK_ASKED, "asked" },
				       { RINGO_TICK_REFUSED, "refused" }))
);

/* A goroutine blocks outside the runtime: in which system call, or -1, a page fault. */
TRACE_EVENT(block,
	    TP_PROTO(u32 page, u32 g, s32 nr, bool told),
	    TP_ARGS(page, g, nr, told),
	    TP_STRUCT__entry(__field(u32, page)
			     __field(u32, g)
			     __field(s32, nr)
			     __field(bool, told)),
	    TP_fast_assign(__entry->page = page;
			   __entry->g = g;
			   __entry->nr = nr;
			   __entry->told = told;),
	    TP_printk("page=%u g=%u nr=%d told=%d", __entry->page, __entry->g, __entry->nr,
		      __entry->told)
);

/* It goes on, after so long. */
TRACE_EVENT(unblock,
	    TP_PROTO(u32 page, u64 ns),
	    TP_ARGS(page, ns),
	    TP_STRUCT__entry(__field(u32, page)
			     __field(u64, ns)),
	    TP_fast_assign(__entry->page = page;
			   __entry->ns = ns;),
	    TP_printk("page=%u ns=%llu", __entry->page, __entry->ns)
);

/* A thread that was at ip goes on in the runtime. */
TRACE_EVENT(upcall,
	    TP_PROTO(u32 page, u32 g, unsigned long ip),
	    TP_ARGS(page, g, ip),
	    TP_STRUCT__entry(__field(u32, page)
			     __field(u32, g)
			     __field(unsigned long, ip)),
	    TP_fast_assign(__entry->page = page;
			   __entry->g = g;
			   __entry->ip = ip;),
	    TP_printk("page=%u g=%u ip=%#lx", __entry->page, __entry->g, __entry->ip)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
