// SPDX-License-Identifier: MIT
/* See lines.h. */
#include "observe/lines.h"

bool rg_line_begin(struct rg_lines *l, const char *phase, unsigned pid, uint32_t tid, int64_t ns)
{
	struct rg_json *j = &l->json;

	if (l->limit && j->size + l->reserve > l->limit)
		l->full = true;
	if (l->full || j->err)
		return false;
	rg_json_raw(j, l->begun ? ",\n{\"ph\":\"" : "\n{\"ph\":\"");
	l->begun = true;
	rg_json_raw(j, phase);
	rg_json_raw(j, "\",\"pid\":");
	rg_json_u64(j, pid);
	rg_json_raw(j, ",\"tid\":");
	rg_json_u64(j, tid);
	rg_json_raw(j, ",\"ts\":");
	rg_json_us(j, ns);
	return true;
}

void rg_line_text(struct rg_lines *l, const char *key, const char *value)
{
	rg_json_raw(&l->json, key);
	rg_json_raw(&l->json, value);
}

/* A span, to be ended by end_line. */
bool rg_line_span(struct rg_lines *l, unsigned pid, uint32_t tid, int64_t from, int64_t to)
{
	if (!rg_line_begin(l, "X", pid, tid, from))
		return false;
	rg_json_raw(&l->json, ",\"dur\":");
	rg_json_us(&l->json, to - (from < 0 ? 0 : from));
	rg_json_raw(&l->json, ",\"name\":");
	return true;
}

void rg_line_end(struct rg_lines *l)
{
	rg_json_raw(&l->json, "}");
}

/* What happens on a track; further arguments and end_line follow. */
bool rg_line_instant(struct rg_lines *l, unsigned pid, uint32_t tid, int64_t ns, const char *name)
{
	if (!rg_line_begin(l, "i", pid, tid, ns))
		return false;
	rg_line_text(l, ",\"s\":\"t\",\"name\":\"", name);
	rg_json_raw(&l->json, "\"");
	return true;
}

void rg_line_arrow(struct rg_lines *l, bool begins, uint64_t id, unsigned pid, uint32_t tid, int64_t ns,
		  const char *name)
{
	if (!id || !rg_line_begin(l, begins ? "s" : "f", pid, tid, ns))
		return;
	rg_line_text(l, ",\"cat\":\"", name);
	rg_line_text(l, "\",\"name\":\"", name);
	rg_json_raw(&l->json, begins ? "\",\"id\":" : "\",\"bp\":\"e\",\"id\":");
	rg_json_u64(&l->json, id);
	rg_line_end(l);
}

void rg_line_number(struct rg_lines *l, const char *key, uint64_t v)
{
	rg_json_raw(&l->json, key);
	rg_json_u64(&l->json, v);
}
