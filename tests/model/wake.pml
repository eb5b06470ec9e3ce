/* SPDX-License-Identifier: MIT */
/*
 * Waking, spinning and parking: lib/core/wake.c, with the run queues (runq.h, runq.c), the scheduler's loop
 * (sched.c), the wake of a ring (uring.c), retired Ps (procs.c) and the end of a run (run.c). README.md says
 * which part stands for which; sched.sh knows what to run.
 *
 * NP Ms, each with its P, and three Gs. G 0 is queued at first; while the others are new, whoever runs may
 * spawn or ready one, and with FOREIGN so may a thread that is no M. A G that runs does anything that OPS
 * steps in all allow: spawn, ready, yield, wait for an operation of the ring, or compute until nothing
 * else moves. With RETIRE P 1 is retired and comes back; with STOP the run ends with G 0.
 *
 * A run queue is a set here, of which the lowest goes first. Memory is sequentially consistent; a fence that
 * is missing shows as a load that is done before the store.
 *
 * Steps. Each access to what others touch is one, except that the holder of a P looks through its own queues
 * at once, a thief takes in one step what its CAS gives it, and a waker tells the M and rings in one. FINE
 * makes each access a step of its own; some mutants can only be seen so.
 *
 * MUTANT_*: one fault each, which the checker must find.
 */
#ifndef NP
#define NP 2
#endif
#ifndef OPS
#define OPS 3
#endif
#ifdef FINE
#define SECTION
#else
#define SECTION atomic
#endif
#define NG 3
#define NONE 7

/* States of a G. */
#define NEW 0
#define QUEUED 1
#define RUNNING 2
#define IO 3
#define DONE 4

#define BIT(x) (1 << (x))
#define LOW(set) (((set) & 1) -> 0 : (((set) & 2) -> 1 : 2))
#define COUNT(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))

typedef processor {
	byte ring;            /* the Gs in its run queue: a set */
	byte next;
	byte looking;         /* who is between the two looks of rg_runq_empty, and tail has not moved */
	byte stealing;        /* who is between the loads and the CAS of a theft, and head has not moved */
	bit parked;           /* p->idle */
	bit retired;
	byte io;              /* Gs whose operation is in its ring */
	bit rung;             /* its eventfd was written, and the completion is not reaped */
	bit woken;            /* as in struct uring */
	bit stop;             /* of its M */
	bit asleep            /* not in the code */
}

processor ps[NP];
byte gs[NG];
byte idle;                /* rt.idle */
byte spinning;
byte global;
byte left = OPS;
byte computing;           /* Gs that compute: a set */
bit stopping;
byte ended;               /* Ms */

hidden byte k;

inline queue_up(g) {
	assert(gs[g] == NEW || gs[g] == RUNNING || gs[g] == IO);
	gs[g] = QUEUED
}

inline start(g) {
	assert(gs[g] == QUEUED); /* else two Ms run it */
	gs[g] = RUNNING
}

/* ---- run queues ---- */

/* rg_runq_put, of a set */
inline put(p, set) {
	d_step { ps[p].ring = ps[p].ring | (set); ps[p].looking = 0 }
}

/* rg_runq_put_next */
inline put_next(p, g) {
	d_step { t = ps[p].next; ps[p].next = g };
	if
	:: t != NONE -> put(p, BIT(t))
	:: else -> skip
	fi;
	t = 0
}

inline take_next(p, g) {
	atomic { g = ps[p].next; ps[p].next = NONE }
}

/* rg_runq_pop. Nobody else adds to the queue meanwhile. */
inline pop(p, g) {
	SECTION {
#ifdef MUTANT_NEXT_LOAD_STORE
		g = ps[p].next;
		ps[p].next = NONE;
#else
		take_next(p, g);
#endif
		atomic {
			if
			:: g == NONE && ps[p].ring ->
				g = LOW(ps[p].ring);
#ifndef MUTANT_POP_LOAD_STORE
				ps[p].ring = ps[p].ring & ~BIT(g);
#endif
				ps[p].stealing = 0
			:: g == NONE && !ps[p].ring -> take_next(p, g)
			:: else -> skip
			fi
		};
#ifdef MUTANT_POP_LOAD_STORE
		if
		:: g != NONE -> ps[p].ring = ps[p].ring & ~BIT(g)
		:: else -> skip
		fi
#endif
	}
}

/*
 * rg_runq_empty. Its last load may follow the one before at once: when tail moves in between, the look begins
 * anew, as one that begins later.
 */
inline look_empty(p, me, none) {
	do
	:: atomic { ps[p].ring -> none = 0; break }
	:: d_step { else -> ps[p].looking = ps[p].looking | BIT(me) };
		atomic {
			none = (ps[p].next == NONE);
			if
			:: ps[p].looking & BIT(me) -> ps[p].looking = ps[p].looking & ~BIT(me); break
			:: else -> none = 0
			fi
		}
	od
}

/* rg_work_anywhere */
inline look_for_work(me, found) {
	atomic { found = (global != 0) };
	do
	:: atomic { i < NP && !found -> skip }; look_empty(i, me, found); atomic { found = !found; i++ }
	:: atomic { else -> i = 0; break }
	od
}

/* rg_runq_steal, from v into the queue of p: the lower half, and of an odd number the one in the middle. */
inline steal(p, v, g) {
	g = NONE;
	do
	:: true ->
		SECTION {
			d_step {
				t = ps[v].ring;
				if
				:: COUNT(t) == 3 -> t = t & ~BIT(2)
				:: COUNT(t) == 2 -> t = BIT(LOW(t))
				:: else -> skip
				fi;
				ps[v].stealing = ps[v].stealing | BIT(p)
			};
			if
			:: t == 0 -> break
#ifdef MUTANT_STEAL_LOAD_STORE
			:: else -> ps[v].ring = ps[v].ring & ~t; break
#else
			:: atomic {
				t && (ps[v].stealing & BIT(p)) -> ps[v].ring = ps[v].ring & ~t;
				ps[v].stealing = 0;
				break
			   }
			:: t && !(ps[v].stealing & BIT(p)) -> skip
#endif
			fi
		}
	od;
	atomic {
		ps[v].stealing = ps[v].stealing & ~BIT(p);
		if
		:: t -> g = LOW(t); t = t & ~BIT(g)
		:: else -> take_next(v, g)
		fi
	};
	if
	:: t -> atomic { put(p, t); t = 0 }
	:: else -> skip
	fi
}

/* rg_global_get: of two or three Gs one more than is to run now. */
inline get_global(p, g) {
	atomic {
		if
		:: global == 0 -> g = NONE
		:: else ->
			g = LOW(global);
			global = global & ~BIT(g);
			if
			:: global ->
				t = LOW(global);
				global = global & ~BIT(t);
				put(p, BIT(t));
				t = 0
			:: else -> skip
			fi
		fi
	}
}

/* ---- waking ---- */

inline ring_wake(p) {
#ifdef MUTANT_WAKE_SLEEPERS_ONLY
	d_step { ps[p].rung = ps[p].asleep }
#else
	ps[p].rung = 1
#endif
}

/* rg_wake_p */
inline wake_p(p) {
	SECTION {
		ps[p].parked = 0;
		ring_wake(p)
	}
}

/* wake_one, take_idle. A bit that is lost to another waker is as one that was not seen. */
inline wake_one() {
#ifdef MUTANT_TWO_WAKERS
	if
	:: spinning == 0 -> spinning = 1;
#else
	if
	:: d_step { spinning == 0 -> spinning = 1 };
#endif
#ifdef MUTANT_WAKER_LOAD_STORE
		t = (idle -> LOW(idle) : NONE);
#endif
		if
#ifdef MUTANT_WAKER_LOAD_STORE
		:: atomic { t != NONE -> idle = idle & ~BIT(t) };
#else
		:: d_step { idle -> t = LOW(idle); idle = idle & ~BIT(t) };
#endif
			wake_p(t)
#ifdef MUTANT_COUNT_LEFT
		:: else -> skip
#else
		:: atomic { else -> spinning-- }
#endif
		fi;
		t = 0
	:: else -> skip
	fi
}

/* rg_wake_if_needed. The two loads are as one: if spinning changes in between, the CAS finds out. */
inline wake_if_needed() {
	if
	:: spinning || !idle -> skip
	:: else -> wake_one()
	fi
}

/* A push, and what belongs to it. */
#ifdef MUTANT_PUSH_NO_FENCE
#define PUSH(push) \
	e = (spinning || !idle); \
	push; \
	if \
	:: e -> e = 0 \
	:: else -> wake_one() \
	fi
#else
#define PUSH(push) push; wake_if_needed()
#endif

/* rg_spin_end */
inline spin_end(me, found) {
	if
	:: sp ->
		sp = 0;
		d_step { assert(spinning); spinning--; e = (spinning == 0) };
#ifndef MUTANT_NO_SUCCESSOR
		if
		:: e && found && idle ->
			look_for_work(me, e);
			if
			:: e -> e = 0; wake_one()
			:: else -> skip
			fi
		:: else -> e = 0
		fi
#else
		e = 0
#endif
	:: else -> skip
	fi
}

/* ---- parking ---- */

inline idle_leave(p) {
#ifdef MUTANT_LEAVE_LOAD_STORE
	if
	:: idle & BIT(p) -> idle = idle & ~BIT(p); ps[p].parked = 0
#else
	if
	:: d_step { idle & BIT(p) -> idle = idle & ~BIT(p); ps[p].parked = 0 }
#endif
	:: else ->
		!ps[p].parked; /* the waker's word */
#ifndef MUTANT_WOKEN_NOT_COUNTED
		sp = 1
#endif
	fi
}

/* The wait of the poller. */
inline wait(p) {
	if
	:: atomic { ps[p].woken -> ps[p].woken = 0 }
	:: atomic { else -> ps[p].asleep = 1 };
		atomic { ps[p].rung || ps[p].io -> ps[p].asleep = 0 }
	fi
}

/* Completions, of which some may come later. */
inline reap(p) {
	atomic {
		if
		:: ps[p].rung ->
			ps[p].rung = 0;
#ifndef MUTANT_WAKE_FORGOTTEN
			ps[p].woken = 1
#endif
		:: else -> skip
		fi
	};
	do
	:: atomic { ps[p].io -> t = LOW(ps[p].io); ps[p].io = ps[p].io & ~BIT(t); queue_up(t) };
		put(p, BIT(t))
	:: atomic { t = 0; break }
	od
}

/* rg_sched_loop */
proctype M(byte my)
{
	byte g = NONE, n = NONE; /* Gs */
	bit sp;                  /* m->spinning */
	bit spun;
	byte t, i;
	bit e;

loop:
#ifdef STOP
	if
	:: ps[my].stop -> goto over
	:: else -> skip
	fi;
#endif
#ifdef RETIRE
	if
	:: ps[my].retired -> goto retired
	:: else -> skip
	fi;
#endif
	reap(my);
	pop(my, g);
	if
	:: g != NONE -> goto found
	:: else -> skip
	fi;
	get_global(my, g);
	if
	:: g != NONE -> goto found
	:: else -> skip
	fi;
	/* rg_spin_begin */
	if
	:: sp -> goto steal_all
	:: else -> skip
	fi;
	if
	:: 2 * spinning >= NP -> goto park
	:: else -> skip
	fi;
	atomic { spinning++; sp = 1 };
steal_all:
	if
	:: n = (my + 1) % NP
	:: NP == 3 -> n = (my + 2) % NP
	fi;
	steal(my, n, g);
	if
	:: g == NONE && NP == 3 -> n = (6 - my - n) % 3; steal(my, n, g)
	:: else -> skip
	fi;
	n = NONE;
	if
	:: g != NONE -> goto found
	:: else -> skip
	fi;

park:	/* rg_idle_enter */
#ifdef MUTANT_PARK_NO_FENCE
	look_for_work(my, e);
	n = e;
#endif
	atomic { spun = sp; ps[my].parked = 1; idle = idle | BIT(my) };
#ifndef MUTANT_SPIN_END_LATE
	spin_end(my, false);
#endif
#ifdef MUTANT_PARK_NO_FENCE
	e = n;
	n = NONE;
#elif defined(MUTANT_NO_LAST_LOOK)
	e = 0;
#else
	look_for_work(my, e);
#endif
#ifdef STOP
	if
	:: !e -> e = ps[my].stop
	:: else -> skip
	fi;
#endif
	if
	:: e ->
		e = 0;
		idle_leave(my);
#ifndef MUTANT_SPINS_NO_MORE
		/* Who saw us spin counts on us, whatever we find first. */
		if
		:: spun && !sp -> atomic { spinning++; sp = 1 }
		:: else -> skip
		fi;
#endif
		spun = 0;
		goto loop
	:: else ->
#ifdef MUTANT_SPIN_END_LATE
		spin_end(my, false);
#endif
		wait(my)
	fi;
	spun = 0;
	idle_leave(my);
	goto loop;

#ifdef RETIRE
retired: /* serve_retired */
	reap(my);
	spin_end(my, false);
	do
	:: true ->
		pop(my, g);
		if
		:: g == NONE -> break
		:: else -> global = global | BIT(g); g = NONE
		fi
	od;
#ifndef MUTANT_RETIRED_PASSES_NOTHING_ON
	look_for_work(my, e);
	if
	:: e -> e = 0; wake_if_needed()
	:: else -> skip
	fi;
#endif
	wait(my);
	goto loop;
#endif

found:
	spin_end(my, true);
#ifndef MUTANT_REST_UNTOLD
	look_empty(my, my, e);
	if
	:: !e -> wake_if_needed()
	:: else -> e = 0
	fi;
	e = 0;
#endif
switch:
	atomic { start(g) };
user:
	if
	:: atomic { /* rg_spawn */
		left && (gs[1] == NEW || gs[2] == NEW) ->
		left--;
		n = (gs[1] == NEW -> 1 : 2);
		queue_up(n)
	   };
		PUSH(put(my, BIT(n)));
		n = NONE;
		goto user
	:: atomic { /* rg_ready_fresh, to run next */
		left && (gs[1] == NEW || gs[2] == NEW) ->
		left--;
		n = (gs[1] == NEW -> 1 : 2);
		queue_up(n)
	   };
		PUSH(put_next(my, n));
		n = NONE;
		goto user
	:: atomic { left -> left-- }; /* yield */
		if
		:: pop(my, n)
		:: n = NONE /* a round is due */
		fi;
		atomic { queue_up(g) };
		if
		:: n == NONE -> put(my, BIT(g)); g = NONE; goto loop
		:: else ->
#ifdef MUTANT_YIELD_UNTOLD
			put(my, BIT(g));
#else
			PUSH(put(my, BIT(g)));
#endif
			g = n;
			n = NONE;
			goto switch
		fi
	:: atomic { left -> left--; gs[g] = IO; ps[my].io = ps[my].io | BIT(g) }; /* an operation */
		goto next
	:: atomic { left -> left--; computing = computing | BIT(g) }; /* compute */
		!(computing & BIT(g));
		goto user
	:: gs[g] = DONE;
#ifdef STOP
		if
		:: g == 0 -> goto stop
		:: else -> skip
		fi;
#endif
		goto next
	fi;
next:
	if
	:: pop(my, g)
	:: g = NONE
	fi;
	if
	:: g == NONE -> goto loop
	:: else -> goto switch
	fi;
#ifdef STOP
stop:	/* ask_stop */
	atomic { stopping = 1; g = NONE; n = 0 };
	do
	:: n < NP -> ps[n].stop = 1; n++
	:: else -> break
	od;
	n = 0;
	do
	:: n < NP -> wake_p(n); n++
	:: else -> break
	od;
	n = NONE;
	goto loop;
#endif
over:
	spin_end(my, false);
	ended++
}

#ifdef FOREIGN
/* A thread that is no M readies a G. */
proctype Foreign()
{
	byte n, t;
	bit e;

	atomic {
		if
		:: gs[1] == NEW -> n = 1
		:: gs[1] != NEW && gs[2] == NEW -> n = 2
		:: else -> goto over
		fi;
		queue_up(n)
	};
	PUSH(global = global | BIT(n));
over:
	skip
}
#endif

#ifdef RETIRE
/* retire, in ringo_maxprocs */
proctype Changer()
{
	ps[1].retired = 1;
	wake_p(1);
	if
	:: true ->
		ps[1].retired = 0;
		wake_p(1)
	:: true
	fi
}
#endif

/* When nothing moves any more but Gs that compute: who is queued finds no M asleep. Then these go on. */
proctype Judge()
{
	bit queued;
	byte n;

	do
	:: timeout ->
		d_step {
			queued = (gs[0] == QUEUED || gs[1] == QUEUED || gs[2] == QUEUED);
			for (k : 0 .. NP - 1) {
				if
				:: ps[k].asleep && !stopping && !ps[k].retired ->
					assert(!queued);
					assert(ps[k].parked && (idle & BIT(k)))
				:: else -> skip
				fi
			}
			assert(spinning == 0);
			n = ended + COUNT(computing);
			for (k : 0 .. NP - 1) {
				n = n + ps[k].asleep
			}
			assert(n == NP);
			k = 0;
			n = 0;
			queued = 0
		};
		if
		:: computing -> computing = 0
		:: else -> break
		fi
	od;
#ifdef STOP
	assert(gs[0] != DONE || ended == NP);
#endif
	atomic {
		for (k : 0 .. NG - 1) {
			assert(gs[k] == NEW || gs[k] == DONE || stopping)
		}
	}
}

init
{
	atomic {
		for (k : 0 .. NP - 1) {
			ps[k].next = NONE
		}
		gs[0] = QUEUED;
		global = BIT(0);
		k = 0;
#ifdef FOREIGN
		run Foreign();
#endif
#ifdef RETIRE
		run Changer();
#endif
		run M(0);
		run M(1);
#if NP == 3
		run M(2);
#endif
		run Judge()
	}
}
