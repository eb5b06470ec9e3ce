// SPDX-License-Identifier: MIT
/*
 * A burst exhausts the connections of a database (PostgreSQL, with max_connections = 8).
 *
 * First mistake: each goroutine opens a connection of its own. The server refuses what is too much.
 *
 *   $ pool_exhausted
 *   8 queries answered, 42 refused: ...FATAL:  sorry, too many clients already
 *
 * Second mistake: a pool, which is a channel that holds 4 connections, and a path on which a goroutine does
 * not put its connection back. Soon all wait for one, for ever. A dump shows how many, and where.
 *
 *   $ pool_exhausted keep
 *   goroutine profile: total ...
 *   ... @ 0x...
 *   # [chan receive, ...] entry query_and_keep, created by keep+0x...
 *   #	0x... query_and_keep+0x...
 *
 * Cure: a group with a limit, so that a burst is a queue and no crowd; a connection that goes back on every
 * way out; and a limit to the wait for one, so that who gets none can say so.
 *
 *   $ pool_exhausted cure
 *   50 queries answered
 *   while all are taken: Connection timed out
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "pq.h"

enum { QUERIES = 50, POOL = 4 };

typedef ringo_ch(PGconn *) pool;

static atomic_int answered, refused;
static char why[256];

/* All have tried before the first one gives its connection up. */
static void query_alone(struct ringo_waitgroup *tried, struct ringo_waitgroup *done)
{
	PGconn *c;
	int err = pq_connect(&c, "");

	if (err && !refused++)
		snprintf(why, sizeof(why), "%s", PQerrorMessage(c));
	ringo_waitgroup_done(tried);
	ringo_waitgroup_wait(tried);
	if (!err && !pq_query(c, "SELECT 1"))
		answered++;
	PQfinish(c);
	ringo_waitgroup_done(done);
}

static int burst(void *arg)
{
	static struct ringo_waitgroup tried, done;

	(void)arg;
	ringo_waitgroup_add(&tried, QUERIES);
	ringo_waitgroup_add(&done, QUERIES);
	for (int i = 0; i < QUERIES; i++)
		if (ringo_go(query_alone, &tried, &done))
			return 1;
	ringo_waitgroup_wait(&done);
	printf("%d queries answered, %d refused: %s", answered, refused, why);
	return 0;
}

static pool open_pool(void)
{
	pool p = ringo_ch_make(PGconn *, POOL);
	PGconn *c;

	for (int i = 0; i < POOL; i++)
		if (pq_connect(&c, "") || ringo_ch_try_send(p, c))
			ringo_panic("no connection: %s", PQerrorMessage(c));
	return p;
}

static void query_and_keep(pool p, int i)
{
	PGconn *c;

	if (ringo_ch_recv(p, &c) != 1)
		return;
	if (pq_query(c, i % 10 == 0 ? "SELECT 1 / 0" : "SELECT 1"))
		return;         /* with the connection */
	(void)!ringo_ch_send(p, c);
}

static int keep(void *arg)
{
	pool p = open_pool();

	(void)arg;
	for (int i = 0; i < QUERIES; i++)
		if (ringo_go(query_and_keep, p, i))
			return 1;
	ringo_sleep(500 * RINGO_MS);
	return ringo_dump(1, RINGO_DUMP_GROUPED);
}

static int take(pool p, PGconn **c, int64_t ns)
{
	ringo_timeout_scope(ns);
	int got = ringo_ch_recv(p, c);

	return got == 1 ? 0 : got;
}

/* One that was left in the middle of a query, or has broken, is replaced. */
static void put_back(pool p, PGconn *c)
{
	if (PQtransactionStatus(c) != PQTRANS_IDLE) {
		PQfinish(c);
		(void)!pq_connect(&c, "");
	}
	(void)!ringo_ch_try_send(p, c); /* it has room */
}

static int query(void *arg)
{
	pool p = *(pool *)arg;
	PGconn *c;
	int err = take(p, &c, 30 * RINGO_SEC);

	if (err)
		return err;
	ringo_defer(put_back, p, c);
	err = pq_query(c, "SELECT 1");
	answered += !err;
	return err;
}

static int cure(void *arg)
{
	pool p = open_pool();
	struct ringo_group g;
	PGconn *c;
	int err = 0;

	(void)arg;
	ringo_group_init(&g, NULL);
	ringo_group_limit(&g, 2 * POOL);
	for (int i = 0; i < QUERIES && !err; i++)
		err = ringo_group_go(&g, query, &p);
	err = ringo_group_wait(&g);
	printf("%d queries answered\n", answered);
	while (!err && !(err = take(p, &c, 20 * RINGO_MS)))
		PQfinish(c);
	printf("while all are taken: %s\n", strerror(-err));
	ringo_ch_unref(p);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return ringo_run(burst, NULL);
	return ringo_run(strcmp(argv[1], "keep") ? cure : keep, NULL);
}
