/* SPDX-License-Identifier: MIT */
/*
 * The lane: lib/core/lane.c, with what of revocation (revoke.c), the scheduler (sched.c), the gates (gate.h) and
 * signals (probe.c) belongs to it. README.md says which part stands for which; sched.sh knows what to run.
 *
 * NM Ms, one P, one place, three Gs. A G that runs does anything that OPS steps in all allow: compute for QUANTA
 * quanta, take a lock of the program (who waits for that sleeps in the kernel), make calls that wait or do not. Any
 * G may be sticky at any time. With STOP the run ends with G 0.
 *
 * Time. Looks of sysmon happen at any moment; with SELDOM only one after time has passed. When nothing moves any more there are looks until one changes
 * nothing; then is the moment to count; then time passes for those that compute and are not parked.
 *
 * Each section under the lane's lock is one step, and memory is sequentially consistent: of what is read without
 * that lock, the handler's words are its own thread's.
 *
 * MUTANT_*: one fault each, which the checker must find.
 */
#ifndef OPS
#define OPS 2
#endif
#ifndef QUANTA
#define QUANTA 3
#endif
#ifndef NM
#define NM 3
#endif
#define NG 3
#define PLACES 1
#define NONE 7

/* m->lane.state */
#define OUT 0
#define IN 1
#define PARKED 2
#define BLOCKED 3

/* States of a G. */
#define QUEUED 0          /* globally */
#define LANED 1           /* in the lane's queue, on no M */
#define RUNNING 2
#define DONE 3

#define BIT(x) (1 << (x))
#define LOW(set) (((set) & 1) -> 0 : (((set) & 2) -> 1 : 2))

typedef machine {
	byte state;
	byte cur;
	byte gift;
	bit park;
	bit parked;           /* in the handler */
	bit sig;              /* is pending */
	bit in_rt;
	bit has_p;            /* as it knows it */
	bit taken;            /* revoked is TAKEN */
	bit asleep;           /* in the kernel */
	bit moved;            /* used CPU time since the last look */
	bit used;             /* its turn, or its quantum */
	byte computing        /* for how long still */
}

machine ms[3];
byte gs[NG];
bit onstack[NG];
chan queue = [NG] of { byte };
byte running;             /* lane.running */
byte spares;              /* Ms */
bit p_free = 1;           /* for the next spare M */
byte holder = NONE;       /* of the program's lock */
byte left = OPS;
bit open;                 /* lane.open */
bit stopping;
byte ended;               /* Ms */
bit changed;              /* by a look */

hidden byte k, x;

#define WITH(m, g) (ms[m].state == PARKED && ms[m].cur == (g))
#define M_OF(g) (WITH(0, g) -> 0 : (WITH(1, g) -> 1 : (WITH(2, g) -> 2 : NONE)))
#define IS(m, st) (ms[m].state == (st))
#define FIRST_PARKED (IS(0, PARKED) -> 0 : (IS(1, PARKED) -> 1 : (IS(2, PARKED) -> 2 : NONE)))
#define ANY(st) (gs[0] == (st) || gs[1] == (st) || gs[2] == (st))
#define FIRST(st) (gs[0] == (st) -> 0 : (gs[1] == (st) -> 1 : 2))
#define PLACES_LEFT (running < PLACES)
#define WAITING (len(queue) != 0)

/* ---- under the lock ---- */

inline go_in(m) {
	ms[m].state = IN;
	ms[m].used = 0;
	running++
}

inline go_out(m, to) {
	if
	:: ms[m].state == IN -> running--
	:: else -> skip
	fi;
	ms[m].state = to
}

inline unpark(m) {
	assert(queue??[eval(ms[m].cur)]);
	queue??eval(ms[m].cur);
	go_in(m);
	ms[m].park = 0
}

inline fill() {
	do
	:: WAITING && PLACES_LEFT ->
		queue?<x>;
		k = M_OF(x);
		if
		:: k == NONE && spares ->
			k = LOW(spares);
			spares = spares & ~BIT(k);
			queue?x;
			go_in(k);
			ms[k].gift = x
		:: k == NONE && !spares ->
			k = FIRST_PARKED;
			if
			:: k == NONE -> break
			:: else -> unpark(k)
			fi
		:: else -> unpark(k)
		fi
	:: else -> break
	od;
	k = 0;
	x = 0
}

/* rg_lane_leave */
inline leave(me) {
	if
#ifndef MUTANT_LEAVE_NO_DROP
	:: ms[me].state == PARKED -> queue??eval(ms[me].cur)
#endif
	:: else -> skip
	fi;
	go_out(me, OUT);
#ifndef MUTANT_REQUEST_KEPT
	ms[me].park = 0;
#endif
	if
	:: WAITING && PLACES_LEFT ->
		queue?<x>;
		k = M_OF(x);
		if
		:: k != NONE -> unpark(k)
		:: else -> skip
		fi
	:: else -> skip
	fi;
	k = 0;
	x = 0
}

/* ---- the M ---- */

/* A signal: the handler. */
#ifdef MUTANT_PARK_INSIDE
#define MAY_PARK(me) ms[me].park
#else
#define MAY_PARK(me) (ms[me].park && !ms[me].in_rt)
#endif
#define SIGNAL(me) atomic { \
		ms[me].sig -> ms[me].sig = 0; \
		if \
		:: MAY_PARK(me) -> assert(!ms[me].in_rt && !ms[me].has_p || ms[me].taken); ms[me].parked = 1 \
		:: else -> skip \
		fi \
	}; \
	atomic { !ms[me].parked || !ms[me].park -> ms[me].parked = 0 }

proctype M(byte me)
{
	byte g = NONE;

loop:	/* without_p; with a P find */
	atomic {
		g = NONE;
		if
		:: stopping -> goto over
#ifdef MUTANT_TAKE_PARKED
		:: !stopping && WAITING && !open && PLACES_LEFT -> queue?g; go_in(me); goto begin
#else
		:: !stopping && WAITING && !open && PLACES_LEFT ->
			queue?<g>;
			if
			:: M_OF(g) == NONE -> queue?g; go_in(me); goto begin
			:: else -> g = NONE
			fi
#endif
		:: else -> skip
		fi;
		spares = spares | BIT(me)
	};
	atomic {
		if
		:: stopping -> goto over
		:: ms[me].gift != NONE -> g = ms[me].gift; ms[me].gift = NONE
		:: p_free && ANY(QUEUED) && (spares & BIT(me)) ->
			spares = spares & ~BIT(me);
			p_free = 0;
			ms[me].has_p = 1;
			g = FIRST(QUEUED)
		fi
	};
begin:
	atomic {
		assert(gs[g] == QUEUED || gs[g] == LANED);
		assert(!onstack[g]);
		gs[g] = RUNNING;
		onstack[g] = 1;
		ms[me].used = 0;
		ms[me].cur = g
	};
	ms[me].in_rt = 0;
user:
	if
	:: atomic { left -> left--; ms[me].computing = QUANTA };
		do
		:: SIGNAL(me)
		:: !ms[me].computing -> break
		od;
		goto user
	:: atomic { left && holder == NONE -> left--; holder = g }; goto user
	:: atomic { left && holder != NONE && holder != g -> left--; ms[me].asleep = 1 };
		do
		:: SIGNAL(me)
		:: atomic { holder == NONE -> holder = g; ms[me].asleep = 0; ms[me].moved = 1; break }
		od;
		goto user
	:: atomic { holder == g -> holder = NONE }; goto user
	:: SIGNAL(me); goto user
	:: atomic { holder != g -> ms[me].in_rt = 1 }
	fi;
	if
	:: SIGNAL(me)
	:: true
	fi;
	atomic { /* rg_lane_lost */
		if
		:: ms[me].taken ->
#if defined(MUTANT_LOST_TWICE)
			go_in(me);
#elif !defined(MUTANT_LOST_NOT_IN)
			if
			:: ms[me].state == OUT -> go_in(me)
			:: else -> skip
			fi;
#endif
			ms[me].has_p = 0;
			ms[me].taken = 0
		:: else -> skip
		fi
	};
	atomic {
		if
		:: stopping -> goto away
		:: !stopping -> goto away
		:: left && !stopping -> left--
		fi
	};
	if
	:: SIGNAL(me)
	:: true
	fi;
	atomic { /* rg_lane_shed */
		if
		:: ms[me].has_p && spares && !WAITING && PLACES_LEFT && !open -> /* hand_over */
#ifndef MUTANT_SHED_UNCOUNTED
			go_in(me);
#endif
			ms[me].has_p = 0;
			p_free = 1
		:: ms[me].has_p && (WAITING || !PLACES_LEFT) && !open -> ms[me].cur = NONE; goto apart
		:: true
		fi;
		ms[me].in_rt = 0;
		goto user
	};

apart:	/* rg_queue_apart, post_queue */
#ifdef MUTANT_QUEUE_ON_STACK
	atomic { gs[g] = LANED; queue!g };
#endif
	atomic {
		onstack[g] = 0;
#ifndef MUTANT_QUEUE_ON_STACK
		gs[g] = LANED;
		queue!g;
#endif
		ms[me].has_p = 0;
		p_free = 1;
		goto loop
	};

away:	/* It waits, or ends; rg_rejoin; quit */
	atomic {
		if
		:: !ms[me].has_p -> leave(me)
		:: else -> skip
		fi
	};
	atomic {
		ms[me].cur = NONE;
		onstack[g] = 0;
		if
		:: ms[me].has_p -> gs[g] = DONE
		:: ms[me].has_p && left -> left--; gs[g] = QUEUED
		:: !ms[me].has_p -> gs[g] = QUEUED
		fi;
		if
		:: ms[me].has_p -> ms[me].has_p = 0; p_free = 1
		:: else -> skip
		fi;
#ifdef STOP
		if
		:: g == 0 && gs[0] == DONE -> stopping = 1
		:: else -> goto loop
		fi
#else
		goto loop
#endif
	};
#ifdef STOP
	atomic { /* rg_lane_stop */
		open = 1;
#ifndef MUTANT_STOP_NO_UNPARK
		do
		:: FIRST_PARKED != NONE -> k = FIRST_PARKED; unpark(k)
		:: else -> break
		od;
		k = 0;
#endif
		goto loop
	};
#endif
over:
	ended++
}

/* ---- sysmon ---- */

#define CAN_TAKE(m) (ms[m].has_p && !ms[m].taken && !ms[m].in_rt && (ms[m].used || ms[m].asleep) && \
		     spares && (ANY(QUEUED) || WAITING))
#define CAN_PARK(m) (ms[m].state == IN && ms[m].cur != NONE && !ms[m].asleep)

inline choose(any) {
	if
	:: CAN_PARK(0) && (any || ms[0].used) -> m = 0
	:: CAN_PARK(1) && (any || ms[1].used) -> m = 1
	:: CAN_PARK(2) && (any || ms[2].used) -> m = 2
	:: else -> m = NONE
	fi
}

inline ask_to_park(m) {
	atomic {
		if
#ifdef MUTANT_PARK_UNCHECKED
		:: ms[m].cur != NONE && !open ->
#elif defined(MUTANT_PARK_WHEN_OPEN)
		:: ms[m].state == IN && ms[m].cur != NONE ->
#else
		:: ms[m].state == IN && ms[m].cur != NONE && !open ->
#endif
			go_out(m, PARKED);
			queue!ms[m].cur;
			ms[m].park = 1;
			changed = 1
		:: else -> done = 1
		fi
	};
	ms[m].sig = 1
}

proctype Sysmon()
{
	byte m, n;
	bit calm, moved, done;

look:
	atomic { changed = 0; m = 0 };
	do
	:: m < NM ->
		if
		:: atomic { CAN_TAKE(m) -> ms[m].taken = 1; p_free = 1; changed = 1 };
			atomic { /* rg_lane_enter */
				if
#ifdef MUTANT_ENTER_UNASKED
				:: ms[m].state == OUT -> go_in(m)
#else
				:: ms[m].state == OUT && ms[m].taken -> go_in(m)
#endif
				:: else -> skip
				fi
			}
		:: else -> skip
		fi;
		atomic { moved = ms[m].moved; ms[m].moved = 0 };
		if
#ifndef MUTANT_NUDGED_ONCE
		:: atomic { ms[m].state == PARKED && !ms[m].parked && !ms[m].sig -> ms[m].sig = 1; changed = 1 }
#endif
#ifndef MUTANT_BLOCKED_KEEPS_PLACE
		:: ms[m].state == IN && ms[m].cur != NONE && !moved && ms[m].asleep ->
			atomic { ms[m].state == IN -> go_out(m, BLOCKED); changed = 1 }
#endif
#ifndef MUTANT_BLOCKED_FORGOTTEN
		:: ms[m].state == BLOCKED && moved ->
			if
			:: atomic { ms[m].state == BLOCKED -> go_in(m); changed = 1 }
			:: else -> skip
			fi
#endif
		:: else -> skip
		fi;
		m++
	:: else -> break
	od;
	/* see_to_turns */
	done = 0;
	do
#ifdef MUTANT_ONLY_WHEN_QUEUED
	:: running > PLACES && WAITING && !open && !done ->
#else
	:: running > PLACES && !open && !done ->
#endif
		choose(true);
		if
		:: m != NONE -> ask_to_park(m)
		:: else -> break
		fi
	:: else -> break
	od;
	done = 0;
	if
	:: WAITING && !open ->
		if
		:: PLACES_LEFT -> skip
		:: else ->
			choose(false);
			if
			:: m != NONE -> ask_to_park(m)
			:: else -> skip
			fi
		fi;
		atomic { n = len(queue); fill(); changed = changed || len(queue) != n; n = 0 }
	:: else -> skip
	fi;
	atomic { m = 0; moved = 0; done = 0 };
#ifndef SELDOM
	if
	:: !calm && !stopping -> goto look
	:: true
	fi;
#endif
	timeout;
	if
	:: !stopping && (!calm || changed) -> calm = 1; goto look
	:: else -> skip
	fi;
	d_step {
		n = 0;
		done = 0;
		for (m : 0 .. NM - 1) {
			n = n + (ms[m].computing != 0 && !ms[m].parked && (!ms[m].has_p || ms[m].taken));
			assert(ms[m].state != PARKED || ms[m].parked || stopping);
			assert(ms[m].state != BLOCKED || ms[m].asleep || stopping);
			/* Who runs without a P is in the lane. */
			assert(ms[m].state != OUT || ms[m].cur == NONE || ms[m].has_p && !ms[m].taken || stopping)
		}
		assert(n <= PLACES || stopping);
		assert(running == (ms[0].state == IN) + (ms[1].state == IN) + (ms[2].state == IN));
		assert(!WAITING || running >= PLACES || stopping || !spares && FIRST_PARKED == NONE);
		/* Time passes. */
		for (m : 0 .. NM - 1) {
			if
			:: ms[m].computing && !ms[m].parked ->
				ms[m].computing--;
				ms[m].moved = 1;
				ms[m].used = 1;
				done = 1
			:: else -> skip
			fi
		}
		m = 0;
		n = 0;
		calm = 0
	};
	if
	:: done -> done = 0; goto look
	:: else -> skip
	fi;
	if
	:: stopping -> assert(ended == NM)
	:: else ->
		assert(gs[0] == DONE && gs[1] == DONE && gs[2] == DONE);
		assert(running == 0 && p_free)
	fi
}

init
{
	atomic {
		for (k : 0 .. 2) {
			ms[k].cur = NONE;
			ms[k].gift = NONE;
			ms[k].in_rt = 1
		}
		k = 0;
		run M(0);
		run M(1);
#if NM == 3
		run M(2);
#endif
		run Sysmon()
	}
}
