/* SPDX-License-Identifier: MIT */
/* State of chan.pml, and channels under their lock: the queues, and what send, receive and claim do. */
#define NG 3
#define NONE 7

#ifdef MUTANT_NO_REMOVE
#define QLEN 6    /* waiters stay behind */
#else
#define QLEN 3
#endif

/* A case: channel * 2, + 1 for a receive. Queue k has the waiters of case k; their partners are in k ^ 1. */
#define CHAN(k) ((k) >> 1)
#define RECEIVES(k) ((k) & 1)
#define PARTNER(k) ((k) ^ 1)

/* What an operation returns. */
#define SENT 1
#define RECEIVED 2
#define CLOSED 3      /* a receive: closed and drained */
#define EPIPE 4       /* a send: closed */
#define ECANCELED 5
#define ETIMEDOUT 6

#define UNDER_CONTEXT(g) ((g) < 2)
#define VALUE(g, index) ((g) * 4 + gs[g].op * 2 + (index) + 1)

#ifdef MUTANT_SAME_NUMBER
#define WAITING(g) 1
#define CLAIMED(g) 0
#else
#define WAITING(g) (gs[g].wake + 1)
#define CLAIMED(g) (gs[g].wake + 1)
#endif

typedef channel {
	bit locked, closed, used;
	byte val, val_turn;   /* the buffered element */
	byte turn, last       /* not in the code: turns given out to senders; that of the last receipt */
}

typedef goroutine {
	byte wake;            /* odd: waiting and claimable */
	byte wake_sb;         /* its store buffer; 0 empty */
	bit onstack;          /* trim is ONSTACK */
	bit ready;            /* on a run queue */
	byte res, got;        /* what the waker says: result, element */
	byte queued;          /* its waiters that are in a queue: bit 0, bit 1. The one that is not has happened */
	byte post;            /* locks to be dropped for it: bit 0, bit 1 */
	bit ended;
	/* Not in the code. */
	byte op;              /* operations done */
	byte frame;           /* number of the wait whose waiters may be touched; 0: they are gone */
	byte happened;        /* cases of this operation that happened, */
	byte hres, hat        /* the last one's result and index */
}

channel ch[2];
goroutine gs[NG];
chan q[4] = [QLEN] of { byte, byte, byte, byte }; /* G, index of the case, number of the wait, turn */
byte prog[NG * 2];        /* first case * 8 + second case or NONE */
bit done;                 /* the context is over */
short sent, received;     /* elements reported as sent, as received: a bit each */

/* Scratch within single steps. */
hidden byte n_waiters, n_partners, nr, this_turn, wg, wi, wn, wt, vg, vi, vn, vt, pop_g, pop_i, pop_t;

inline lock(c) {
	atomic { !ch[c].locked -> ch[c].locked = 1 }
}

inline flush_wake(g) {
	if
	:: gs[g].wake_sb -> gs[g].wake = gs[g].wake_sb; gs[g].wake_sb = 0
	:: else -> skip
	fi
}

/* A case has happened to g, by its own hand or by that of the waker that won it. */
inline happen(g, index, result) {
	gs[g].happened++;
	gs[g].hat = index;
	gs[g].hres = result
}

inline enqueue(k, g, index) {
	if
	:: RECEIVES(k) -> wt = 0
	:: else -> ch[CHAN(k)].turn++; wt = ch[CHAN(k)].turn
	fi;
	q[k]!g, index, gs[g].frame, wt;
	gs[g].queued = gs[g].queued | (1 << (index));
#ifdef MUTANT_LIFO
	n_waiters = len(q[k]) - 1;
	do
	:: n_waiters == 0 -> break
	:: else -> n_waiters--; q[k]?vg, vi, vn, vt; q[k]!vg, vi, vn, vt
	od
#endif
}

/* rg_waitq_pop: the first waiter of queue k whose G can be won, or pop_g is NONE. value: what it will get. */
inline pop(k, value) {
	pop_g = NONE;
	n_waiters = len(q[k]);
	do
	:: n_waiters == 0 -> break
	:: else ->
		n_waiters--;
		q[k]?wg, wi, wn, wt;
		assert(gs[wg].frame == wn); /* a waiter lies on the stack of its G */
#ifdef MUTANT_COPY_BEFORE_CLAIM
		gs[wg].got = (pop_g == NONE && RECEIVES(k) -> value : gs[wg].got);
#endif
		if
#ifdef MUTANT_CLAIM_IGNORED
		:: pop_g == NONE ->
#else
		:: pop_g == NONE && (gs[wg].wake & 1) ->
#endif
			pop_g = wg;
			pop_i = wi;
			pop_t = wt;
			gs[wg].queued = gs[wg].queued & ~(1 << wi);
#ifndef MUTANT_CLAIM_STORE
			gs[wg].wake = CLAIMED(wg)
#endif
#ifdef MUTANT_UNQUEUE_BEFORE_CLAIM
		:: pop_g == NONE && !(gs[wg].wake & 1) -> gs[wg].queued = gs[wg].queued & ~(1 << wi)
#endif
		:: else ->
			q[k]!wg, wi, wn, wt;
#ifdef MUTANT_NO_SKIP
			pop_g = (pop_g == NONE -> NONE + 1 : pop_g)
#endif
		fi
	od;
#ifdef MUTANT_NO_SKIP
	pop_g = (pop_g == NONE + 1 -> NONE : pop_g)
#endif
}

/* First in, first out: the element with this_turn is received from channel c. */
inline take_turn(c) {
	assert(this_turn > ch[c].last);
	ch[c].last = this_turn
}

inline send_now(k, g, index) {
	pop(PARTNER(k), VALUE(g, index));
	if
	:: pop_g != NONE || (ch[CHAN(k)].used < CAP) ->
		ch[CHAN(k)].turn++;
		this_turn = ch[CHAN(k)].turn;
		res = SENT
	:: else -> skip
	fi;
	if
	:: pop_g != NONE ->
		take_turn(CHAN(k));
		gs[pop_g].got = VALUE(g, index);
		gs[pop_g].res = RECEIVED;
		happen(pop_g, pop_i, RECEIVED);
		woken = pop_g
	:: pop_g == NONE && res ->
		ch[CHAN(k)].val = VALUE(g, index);
		ch[CHAN(k)].val_turn = this_turn;
		ch[CHAN(k)].used = 1
	:: else -> skip
	fi
}

inline recv_buffered(k, g) {
	gs[g].got = ch[CHAN(k)].val;
	this_turn = ch[CHAN(k)].val_turn;
	take_turn(CHAN(k));
	ch[CHAN(k)].val = 0;
	ch[CHAN(k)].val_turn = 0;
	ch[CHAN(k)].used = 0;
	res = RECEIVED;
#ifndef MUTANT_NO_REFILL
	pop(PARTNER(k), 0);
	if
	:: pop_g != NONE ->
		ch[CHAN(k)].val = VALUE(pop_g, pop_i);
		ch[CHAN(k)].val_turn = pop_t;
		ch[CHAN(k)].used = 1;
		gs[pop_g].res = SENT;
		happen(pop_g, pop_i, SENT);
		woken = pop_g
	:: else -> skip
	fi
#endif
}

inline recv_direct(k, g) {
	pop(PARTNER(k), 0);
	if
	:: pop_g != NONE ->
		gs[g].got = VALUE(pop_g, pop_i);
		this_turn = pop_t;
		take_turn(CHAN(k));
		gs[pop_g].res = SENT;
		happen(pop_g, pop_i, SENT);
		woken = pop_g;
		res = RECEIVED
	:: pop_g == NONE && ch[CHAN(k)].closed -> res = CLOSED; assert(!ch[CHAN(k)].used)
	:: else -> skip
	fi
}

/* Case k, which is number index of G g, without waiting and under the lock. Sets res (0: would wait), woken. */
inline try(k, g, index) {
	d_step {
		woken = NONE;
		res = 0;
		if
#ifndef MUTANT_SEND_CLOSED
		:: !RECEIVES(k) && ch[CHAN(k)].closed -> res = EPIPE
		:: !RECEIVES(k) && !ch[CHAN(k)].closed -> send_now(k, g, index)
#else
		:: !RECEIVES(k) -> send_now(k, g, index)
#endif
#ifdef MUTANT_SENDER_FIRST
		:: RECEIVES(k) && ch[CHAN(k)].used && len(q[PARTNER(k)]) == 0 -> recv_buffered(k, g)
#elif defined(MUTANT_CLOSE_DROPS)
		:: RECEIVES(k) && ch[CHAN(k)].used && !ch[CHAN(k)].closed -> recv_buffered(k, g)
#else
		:: RECEIVES(k) && ch[CHAN(k)].used -> recv_buffered(k, g)
#endif
		:: else -> recv_direct(k, g)
		fi;
		if
		:: res -> happen(g, index, res); at = index
		:: else -> skip
		fi
	}
#ifdef MUTANT_CLAIM_STORE
	/* The claim is a load and then a store. */
	if
	:: woken != NONE -> gs[woken].wake = (gs[woken].wake + 1) & 254
	:: else -> skip
	fi
#endif
}

