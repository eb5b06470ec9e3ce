// SPDX-License-Identifier: MIT
/* Dumps on request: see core/dump.c. */
#include "core/dump.h"

#include <errno.h>
#include <ringo/stats.h>

#include "core/gate.h"

RG_API int ringo_dump(int fd, unsigned flags)
{
	struct m *m;
	int err;

	if (flags != RINGO_DUMP_GROUPED && flags != RINGO_DUMP_FULL && flags != RINGO_DUMP_SELF &&
	    flags != RINGO_DUMP_LEAKS)
		return -EINVAL;
	m = rg_enter();
	err = m ? 0 : rg_foreign_enter();
	if (err)
		return err;
	err = rg_dump_all(m, fd, flags);
	if (m)
		rg_leave(m);
	else
		rg_foreign_leave();
	return err;
}
