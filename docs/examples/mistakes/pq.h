/* SPDX-License-Identifier: MIT */
/*
 * libpq in goroutines: its calls that do not block, and ringo_poll where they would have to wait. So a query
 * obeys context and deadline, and no OS thread waits with it. (A host name is looked up by PQconnectStart
 * and blocks: use hostaddr, or a Unix socket.)
 */
#ifndef PQ_H
#define PQ_H

#include <errno.h>
#include <postgresql/libpq-fe.h>
#include <ringo.h>

static int pq_wait(PGconn *c, short events)
{
	struct pollfd p = { .fd = PQsocket(c), .events = events };
	int n = ringo_poll(&p, 1, -1);

	return n < 0 ? n : 0;
}

/* 0; -EIO: PQerrorMessage says why; -ENOMEM; or what ringo_poll said. *c is to be given to PQfinish. */
static int pq_connect(PGconn **c, const char *conninfo)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;
	int err = 0;

	*c = PQconnectStart(conninfo);
	if (!*c)
		return -ENOMEM;
	if (PQstatus(*c) == CONNECTION_BAD)
		return -EIO;
	while (!err && (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING)) {
		err = pq_wait(*c, next == PGRES_POLLING_READING ? POLLIN : POLLOUT);
		if (!err)
			next = PQconnectPoll(*c);
	}
	if (!err && (next != PGRES_POLLING_OK || PQsetnonblocking(*c, 1)))
		err = -EIO;
	return err;
}

/* Until libpq has sent the query and can give a result without waiting. */
static int pq_ready(PGconn *c)
{
	int err = 0, unsent;

	while (!err && ((unsent = PQflush(c)) > 0 || PQisBusy(c))) {
		err = pq_wait(c, unsent > 0 ? POLLIN | POLLOUT : POLLIN);
		if (!err && !PQconsumeInput(c))
			err = -EIO;
	}
	return !err && unsent < 0 ? -EIO : err;
}

/* Run one query and drop its results. Errors as above; after one that is not -EIO, drop the connection, too. */
static int pq_query(PGconn *c, const char *sql)
{
	int err = PQsendQuery(c, sql) ? pq_ready(c) : -EIO, failed = 0;
	PGresult *r;

	while (!err && (r = PQgetResult(c))) {
		if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
			failed = -EIO;
		PQclear(r);
		err = pq_ready(c);
	}
	return err ? err : failed;
}

#endif
