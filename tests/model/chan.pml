/* SPDX-License-Identifier: MIT */
/*
 * Channels, select, close, cancellation and time: lib/sync/chan.c, lib/sync/select.c, lib/core/park.h,
 * lib/core/scope.c, lib/core/timer.c. README.md says which part stands for which; chan.sh knows what to run.
 *
 * Each G does OPS0, OPS1 or OPS2 operations, which init draws: a send or a receive on one of two channels, or
 * a select over two of these. So one run of the checker covers all programs. With CLOSER a thread closes a
 * channel; with CANCELLER a thread cancels the context that Gs 0 and 1 run under, and G 1 may have a select of
 * nothing; with TIMER the first operation of G 0 has a deadline. Ms are not modelled: a G is as slow as its M.
 *
 * Steps. What a G does while it holds locks is one step (SECTION) as far as nobody can tell the difference:
 * taking a lock commutes with what others do afterwards, dropping it with what they did before, and in
 * between there is at most one access that others race with: a claim that succeeds, or a look at done. A claim
 * that fails goes on failing until the waiter is removed, for which the lock is needed. FINE makes each
 * access a step of its own; some mutants can only be seen so.
 *
 * SPIN's memory is sequentially consistent. Two stores must not be delayed past the next load: wake of a G
 * and done of the context. Each has a store buffer, and others see it only when that is flushed.
 *
 * MUTANT_*: one fault each, which the checker must find.
 */
#ifndef CAP
#define CAP 0     /* elements each channel can hold: 0 or 1 */
#endif
#ifndef OPS0
#define OPS0 1
#endif
#ifndef OPS1
#define OPS1 1
#endif
#ifndef OPS2
#define OPS2 1
#endif
#ifdef FINE
#define SECTION
#else
#define SECTION atomic
#endif

#include "chan_ops.pml"

/* rg_ready */
inline make_ready(g, result) {
	d_step {
		assert(!gs[g].onstack); /* two would run on its stack */
		assert(!gs[g].ready);
		gs[g].ready = 1;
		gs[g].res = result
	}
}

#define LOOKS_READY(k) (ch[CHAN(k)].closed || len(q[PARTNER(k)]) || \
			(RECEIVES(k) -> ch[CHAN(k)].used : ch[CHAN(k)].used < CAP))

inline lock_all() {
	lock(lo);
	if
	:: lo != hi -> lock(hi)
	:: else -> skip
	fi
}

inline unlock_all() {
	d_step {
		if
		:: a != NONE -> ch[lo].locked = 0; ch[hi].locked = 0
		:: else -> skip
		fi
	}
}

inline enqueue_all() {
	d_step {
		flush_wake(g);
#ifndef MUTANT_LOOK_AND_QUEUE
		if
		:: x != NONE -> enqueue(x, g, xi)
		:: else -> skip
		fi;
#endif
		if
		:: y != NONE -> enqueue(y, g, yi)
		:: else -> skip
		fi
	}
}

/* What a G leaves to be done by whoever arrives on the next stack. By now it may run elsewhere. */
#ifdef FINE
proctype Post(byte g)
{
end:
	do
	:: d_step { (gs[g].post & 1) -> assert(gs[g].frame); gs[g].post = gs[g].post & 2; ch[0].locked = 0 }
#ifdef MUTANT_POST_READS_ON
		assert(gs[g].frame)
#endif
	:: d_step { gs[g].post == 2 -> assert(gs[g].frame); gs[g].post = 0; ch[1].locked = 0 }
#ifdef MUTANT_POST_READS_ON
		assert(gs[g].frame)
#endif
#ifdef MUTANT_POST_ON_NOTHING
	:: d_step { gs[g].post == 4 -> gs[g].post = 0; assert(gs[g].frame) }
#endif
	od
}
#endif

/* The judgement of an operation that is over, and the start of the next. */
inline end_op() {
	if
	:: res == ECANCELED || res == ETIMEDOUT ->
		assert(res == ETIMEDOUT || (UNDER_CONTEXT(g) && done));
		assert(res == ECANCELED || (g == 0 && gs[g].op == 0)); /* only that has a deadline */
		assert(gs[g].happened == 0)
	:: else ->
		assert(gs[g].happened == 1);
		assert(res == gs[g].hres && at == gs[g].hat)
	fi;
	if
	:: res == SENT ->
		assert(!(sent & (1 << VALUE(g, at))));
		sent = sent | (1 << VALUE(g, at))
	:: res == RECEIVED ->
		assert(gs[g].got && !(received & (1 << gs[g].got)));
		received = received | (1 << gs[g].got)
	:: else -> skip
	fi;
	gs[g].happened = 0;
	gs[g].hres = 0;
	gs[g].hat = 0;
	gs[g].res = 0;
	gs[g].got = 0;
	gs[g].frame = 0;
	gs[g].queued = 0;
	gs[g].op++;
	res = 0;
	at = 0;
	woken = NONE;
	a = 0; b = 0; x = 0; xi = 0; y = 0; yi = 0; lo = 0; hi = 0
}

inline begin_op() {
	a = prog[g * 2 + gs[g].op] >> 3;
	b = prog[g * 2 + gs[g].op] & 7;
	lo = (a == NONE -> 0 : CHAN(a));
	hi = (b == NONE -> lo : CHAN(b));
	/* A random order. */
	x = a; xi = 0; y = b; yi = 1;
	if
	:: true
	:: b != NONE -> x = b; xi = 1; y = a; yi = 0
	fi;
#ifdef MUTANT_LOCK_ORDER
	/* As they are looked at. */
	lo = CHAN(x);
	hi = (b == NONE -> lo : CHAN(y))
#endif
}

/* rg_waitq_remove, of our waiter of case k */
inline take_out(k, index) {
	n_waiters = len(q[k]);
	do
	:: n_waiters == 0 -> break
	:: else ->
		n_waiters--;
		q[k]?wg, wi, wn, wt;
		if
		:: wg == g && wi == index -> skip
		:: else -> q[k]!wg, wi, wn, wt
		fi
	od;
	gs[g].queued = gs[g].queued & ~(1 << index)
}

/* The same with the lock, unless the waker has done it. */
inline remove(k, index) {
	if
	:: gs[g].queued & (1 << index) ->
		lock(CHAN(k));
		d_step { take_out(k, index); ch[CHAN(k)].locked = 0 }
	:: else -> skip
	fi
}

proctype G(byte g)
{
	byte a, b;          /* cases */
	byte x, xi, y, yi;  /* the same as they are looked at */
	byte lo, hi;        /* channels as they are locked */
	byte at, res;       /* case that happened, and its result */
	byte woken = NONE;

next:
	atomic {
		if
		:: gs[g].op == (g == 0 -> OPS0 : (g == 1 -> OPS1 : OPS2)) -> gs[g].ended = 1; goto over
		:: else -> begin_op()
		fi;
		/* Peek without a lock at the cases of a select; it only says what to try first. */
		if
		:: b == NONE || !LOOKS_READY(x) -> goto all
		:: else -> skip
		fi
	};
	SECTION {
		lock(CHAN(x));
		try(x, g, xi);
		ch[CHAN(x)].locked = 0;
#ifdef MUTANT_PEEK_TRUSTED
		if
		:: res == 0 -> res = (RECEIVES(x) -> RECEIVED : SENT); at = xi
		:: else -> skip
		fi;
#endif
		if
		:: res -> goto happened
		:: else -> skip
		fi
	};

all:	/* Look at all under all locks. */
	SECTION {
		if
		:: a == NONE -> goto begin_wait
		:: else -> skip
		fi;
		lock_all();
		try(x, g, xi);
#ifdef MUTANT_LOOK_AND_QUEUE
		if
		:: !res -> d_step { gs[g].wake++; gs[g].frame = gs[g].wake; enqueue(x, g, xi) }
		:: else -> skip
		fi;
#endif
		if
		:: !res && y != NONE -> try(y, g, yi)
		:: else -> skip
		fi;
#ifdef MUTANT_LOOK_AND_QUEUE
		if
		:: res && gs[g].queued -> d_step { take_out(x, xi); gs[g].wake = (gs[g].wake + 1) & 254 }
		:: else -> skip
		fi;
#endif
		if
		:: res -> unlock_all(); goto happened
		:: else -> skip
		fi;
#ifdef MUTANT_UNLOCK_BETWEEN
		unlock_all();
	}
	SECTION {
		lock_all();
#endif
begin_wait:	/* No wait begins when the context is over. */
		if
		:: UNDER_CONTEXT(g) && done -> unlock_all(); res = ECANCELED; goto judge
		:: else -> skip
		fi
	};

#ifndef MUTANT_LOOK_AND_QUEUE
	/* An exchange: the store is flushed at once. */
	atomic {
		gs[g].wake_sb = WAITING(g);
		gs[g].frame = gs[g].wake_sb;
#ifndef MUTANT_NO_FENCE
		flush_wake(g)
#endif
	};
#endif

	/* Look at done again. Queue up, leave the stack, and only then drop the locks. */
	SECTION {
#ifdef MUTANT_NO_RECHECK
		skip;
#else
		if
		:: UNDER_CONTEXT(g) && done -> goto take_back
		:: else -> skip
		fi;
#endif
queue_up:
#ifdef MUTANT_QUEUE_ONE_BY_ONE
		atomic { flush_wake(g); enqueue(x, g, xi) };
		if
		:: y != NONE && lo != hi -> ch[CHAN(x)].locked = 0; enqueue(y, g, yi); ch[CHAN(y)].locked = 0
		:: y != NONE && lo == hi -> enqueue(y, g, yi); unlock_all()
		:: else -> unlock_all()
		fi;
		gs[g].onstack = 0;
#else
		enqueue_all();
#ifdef MUTANT_UNLOCK_EARLY
		unlock_all();
		gs[g].onstack = 0;
#elif defined(FINE)
		d_step {
			gs[g].onstack = 0;
			if
			:: a != NONE -> gs[g].post = (1 << lo) | (1 << hi)
#ifdef MUTANT_POST_ON_NOTHING
			:: else -> gs[g].post = 4
#else
			:: else -> skip
#endif
			fi
		};
#else
		gs[g].onstack = 0;
		unlock_all();
#endif
#endif
		goto end_parked
	};

take_back: /* Our own claim. If it fails, the canceller has us and will ready us. */
	atomic {
		flush_wake(g);
		if
#ifdef MUTANT_OWN_CLAIM_STORE
		:: true -> gs[g].wake = (gs[g].wake + 1) & 254; unlock_all(); res = ECANCELED; goto judge
#else
		:: gs[g].wake & 1 -> gs[g].wake = CLAIMED(g); unlock_all(); res = ECANCELED; goto judge
#endif
#ifdef MUTANT_NO_PARK
		:: else -> unlock_all(); res = ECANCELED; goto judge
#else
		:: else -> goto queue_up
#endif
		fi
	};

end_parked:
	SECTION {
		d_step { gs[g].ready -> gs[g].ready = 0; gs[g].onstack = 1; res = gs[g].res; at = gs[g].queued & 1 };
#ifndef MUTANT_NO_REMOVE
		remove(a, 0)
	};
	SECTION {
		remove(b, 1);
#endif
		goto judge
	};

happened:
	SECTION {
		if
		:: woken != NONE -> make_ready(woken, gs[woken].res)
		:: else -> skip
		fi;
judge:
		atomic { end_op(); goto next }
	};
over:
	skip
}

#ifdef CLOSER
inline close_queue(k, result) {
	do
	:: true ->
		pop(k, 0);
		if
		:: pop_g == NONE -> break
		:: else -> happen(pop_g, pop_i, result); gs[pop_g].res = result; won = won | (1 << pop_g)
		fi
	od
}

/* close_chan, by a thread that is no G */
proctype Closer(byte c)
{
	byte won, g;

	d_step {
		!ch[c].locked -> ch[c].closed = 1;
#ifndef MUTANT_CLOSE_NO_RECEIVERS
		close_queue(2 * c + 1, CLOSED);
#endif
#ifndef MUTANT_CLOSE_NO_SENDERS
		close_queue(2 * c, EPIPE);
#endif
		skip
	};
	do
	:: g < NG && (won & (1 << g)) -> make_ready(g, gs[g].res); g++
	:: g < NG && !(won & (1 << g)) -> g++
	:: else -> break
	od
}
#endif

#ifdef CANCELLER
/* cancel_one, by a thread that is no G */
proctype Canceller()
{
	byte won, g;
	bit flushed;

#ifndef MUTANT_CANCEL_NO_FENCE
	atomic { done = 1; flushed = 1 };
#endif
	do
	:: g < 2 ->
#ifdef MUTANT_CANCEL_NO_FENCE
		if
		:: !flushed -> done = 1; flushed = 1
		:: true
		fi;
#endif
		atomic {
			if
#ifdef MUTANT_CANCEL_UNASKED
			:: true ->
#else
			:: gs[g].wake & 1 ->
#endif
				gs[g].wake = CLAIMED(g);
				won = won | (1 << g)
			:: else -> skip
			fi;
			g++
		}
	:: else -> break
	od;
	atomic { done = 1; flushed = 1; g = 0 };
	do
	:: g < 2 && (won & (1 << g)) ->
#ifndef MUTANT_READY_ON_STACK
		!gs[g].onstack; /* off_stack */
#endif
		make_ready(g, ECANCELED);
		g++
	:: g < 2 && !(won & (1 << g)) -> g++
	:: else -> break
	od
}
#endif

#ifdef TIMER
/*
 * entry_due, of the first operation of G 0, by another M than the one that G is on: its entry may be in the
 * heap of a P where it was before.
 */
proctype Timer()
{
	byte seen;

end:
	atomic {
		(gs[0].wake & 1) && gs[0].op == 0 -> seen = gs[0].wake
	};
	atomic {
		if
		:: gs[0].wake == seen -> gs[0].wake = CLAIMED(0)
		:: else -> goto over
		fi
	};
#ifndef MUTANT_TIMER_ON_STACK
	!gs[0].onstack;
#endif
	make_ready(0, ETIMEDOUT);
over:
	skip
}
#endif

/* Those left in queue k wait, and for none that waits across. A G's own two waiters do not meet. */
inline judge_queue(k) {
	n_waiters = len(q[k]);
	do
	:: n_waiters == 0 -> break
	:: else ->
		n_waiters--;
		q[k]?wg, wi, wn, wt;
		q[k]!wg, wi, wn, wt;
		assert((gs[wg].wake & 1) && gs[wg].frame == wn);
		n_partners = len(q[PARTNER(k)]);
		do
		:: n_partners == 0 -> break
		:: else ->
			n_partners--;
			q[PARTNER(k)]?vg, vi, vn, vt;
			q[PARTNER(k)]!vg, vi, vn, vt;
			assert(vg == wg)
		od
	od
}

/* When nothing moves any more: each G has ended, or waits for what does not come. */
proctype Judge()
{
	timeout;
	d_step {
		judge_queue(0);
		judge_queue(1);
		judge_queue(2);
		judge_queue(3);
		for (nr : 0 .. NG - 1) {
			assert(gs[nr].ended || (!gs[nr].onstack && !gs[nr].post && (gs[nr].wake & 1)));
			assert(gs[nr].ended || !(UNDER_CONTEXT(nr) && done))
		}
		for (nr : 0 .. 1) {
			assert(!ch[nr].locked);
			assert(!ch[nr].closed || (len(q[2 * nr]) == 0 && len(q[2 * nr + 1]) == 0));
			assert(ch[nr].used == CAP || len(q[2 * nr]) == 0);
			assert(ch[nr].used == 0 || len(q[2 * nr + 1]) == 0);
			if
			:: ch[nr].used -> received = received | (1 << ch[nr].val)
			:: else -> skip
			fi
		}
		assert(sent == received) /* nothing is lost */
	}
}

inline draw(slot) {
	if
#ifdef CANCELLER
	:: slot == 2 -> prog[slot] = NONE * 8 + NONE /* a select without cases, which only the context ends */
#endif
	:: prog[slot] = 0 * 8 + NONE
	:: prog[slot] = 1 * 8 + NONE
	:: prog[slot] = 2 * 8 + NONE
	:: prog[slot] = 3 * 8 + NONE
	:: prog[slot] = 0 * 8 + 1
	:: prog[slot] = 0 * 8 + 2
	:: prog[slot] = 0 * 8 + 3
	:: prog[slot] = 1 * 8 + 2
	:: prog[slot] = 1 * 8 + 3
	:: prog[slot] = 2 * 8 + 3
	fi
}

/* Programs that differ only in the names of Gs are looked at once. With PLAIN1 G 1 does not select, with PLAIN2 G 2. */
#ifdef PLAIN1
#define TWICE_01 ((prog[2] & 7) != NONE)
#elif defined(TIMER) || OPS0 != OPS1
#define TWICE_01 0
#else
#define TWICE_01 (prog[0] > prog[2])
#endif
#ifdef PLAIN2
#define TWICE_12 ((prog[4] & 7) != NONE)
#elif defined(CANCELLER) || OPS1 != OPS2
#define TWICE_12 0
#else
#define TWICE_12 (prog[2] > prog[4])
#endif

init
{
	byte k;

	atomic {
		for (k : 0 .. NG - 1) {
			gs[k].onstack = 1;
			draw(k * 2);
			if
			:: (k == 0 && OPS0 == 2) || (k == 1 && OPS1 == 2) || (k == 2 && OPS2 == 2) -> draw(k * 2 + 1)
			:: else -> skip
			fi
		}
		k = 0;
		if
		:: TWICE_01 || TWICE_12 -> goto end
		:: else -> skip
		fi;
#ifdef CLOSER
		run Closer(0); /* which of the two makes no difference */
#endif
#ifdef CANCELLER
		run Canceller();
#endif
#ifdef TIMER
		run Timer();
#endif
#ifdef FINE
		run Post(0);
		run Post(1);
		run Post(2);
#endif
		run G(0);
		run G(1);
		run G(2);
		run Judge()
	};
end:
	skip
}
