/* SPDX-License-Identifier: MIT */
/*
 * Revocation: lib/core/revoke.c, gate.h, m.c, with what of the scheduler (sched.c), of the lane's hand-over
 * (lane.c), of the rings' wake (uring.c) and of the end of a run (run.c) belongs to it. README.md says which part stands
 * for which; sched.sh knows what to run.
 *
 * NM Ms, two Ps, three Gs. G 0 is queued at first. A G that runs does anything that OPS steps in all allow:
 * a call that does not wait and readies another G or none, one that waits, one that parks, or
 * computing until nothing else moves. With SHED a G may go on without its P when it leaves the runtime. With
 * TICK each M's CPU may take its P in an interrupt. With STOP the run ends with G 0.
 *
 * Memory. What an M stores to words that others read goes through a store buffer, first in, first out, as on
 * x86. Whoever reads such a word may see any number of the stores that are on their way; a CAS by the M
 * itself and a membarrier by others empty the buffer. What others write in theirs matters to nobody here.
 *
 * Waking is one step each, and so is the last look of who parks: wake.pml has these in full.
 *
 * MUTANT_*: one fault each, which the checker must find.
 */
#ifndef OPS
#define OPS 3
#endif
#ifndef NM
#define NM 3
#endif
#ifndef NP
#define NP 2
#endif
#define OTHER(p) (NP - 1 - (p))
#define NG 3
#ifdef FINE
#define SECTION
#else
#define SECTION atomic
#endif
#define NONE 7

/* revoked */
#define FREE 0
#define ASKED 1
#define TAKEN 2

/* in_rt */
#define OUTSIDE 0
#define INSIDE 1
#define ASIDE 2   /* in the scheduler, in the kernel */

/* States of a G. */
#define NEW 0
#define QUEUED 1
#define RUNNING 2
#define PARKED 3
#define DONE 4

/* Stores on their way. */
#define OUT_RT 1
#define IN_RT 2
#define ASIDE_RT 3
#define CUR_NONE 4
#define CUR_SOME 5
#define P_NONE 6
#define WORD_FREE 7

#define BIT(x) (1 << (x))
#define LOW(set) (((set) & 1) -> 0 : (((set) & 2) -> 1 : 2))

typedef machine {
	byte in_rt;
	bit cur;              /* cur_g is not 0 */
	byte word;            /* revoked */
	byte p;
	bit stop;
	bit asked_stop;
	bit computing       /* not in the code */
}

typedef processor {
	byte m;
	byte queue;           /* Gs: a set */
	bit idle;             /* its M sleeps: its bit in rt.idle */
	bit rung;             /* its eventfd was written */
	byte armed;           /* the M through whose thread that is reported */
	byte user;            /* not in the code: the M that uses it, plus 1 */
	bit drained           /* at the end, by the M that holds it */
}

machine ms[3];
processor ps[2];
chan stores[3] = [4] of { byte };
byte gs[NG];
bit onstack[NG];          /* its registers are not saved */
bit ending[NG];
byte global;
byte parked;              /* Gs that can be readied */
byte spares;              /* Ms */
bit watch;                /* rg_watch */
byte notices;             /* Ps that a tick has taken */
byte left = OPS;
bit stopping;             /* rt.phase */
byte ended;               /* Ms */

hidden byte what, k;

/* ---- memory ---- */

/* All stores of m have landed; or else some, which another thread sees. */
#define LAND(m) \
	stores[m]?what; \
	if \
	:: what == OUT_RT -> ms[m].in_rt = OUTSIDE \
	:: what == IN_RT -> ms[m].in_rt = INSIDE \
	:: what == ASIDE_RT -> ms[m].in_rt = ASIDE \
	:: what == CUR_NONE -> ms[m].cur = 0 \
	:: what == CUR_SOME -> ms[m].cur = 1 \
	:: what == P_NONE -> ms[m].p = NONE \
	:: what == WORD_FREE -> ms[m].word = FREE \
	fi; \
	what = 0

inline drain(m) {
	d_step {
		do
		:: nempty(stores[m]) -> LAND(m)
		:: empty(stores[m]) -> break
		od
	}
}

inline drain_all() {
	drain(0);
	drain(1);
#if NM == 3
	drain(2)
#endif
}

inline some_land(m) {
	do
	:: d_step { nempty(stores[m]) -> LAND(m) }
	:: true -> break
	od
}

inline store(me, s) {
	atomic {
		if
		:: d_step { full(stores[me]) -> LAND(me) }
		:: nfull(stores[me]) -> skip
		fi;
		stores[me]!s
	}
}

/* Its own stores an M sees at once. */
#define TO_BE_FREE(m) (stores[m]??[WORD_FREE])

/* ---- Ps ---- */

/* Only one M at a time touches anything of a P but its queue. */
inline begin_use(me, p) {
	atomic { assert(ps[p].user == 0); ps[p].user = me + 1 }
}

inline end_use(me, p) {
	atomic { assert(ps[p].user == me + 1); ps[p].user = 0 }
}

/* rg_revoke_wanted */
#define WAITS(p) (global || ps[p].queue)

#define ANY_WORK (global || ps[0].queue || ps[1].queue)

/* With rg_watch_hint. */
#ifdef MUTANT_HINT_TOO_EARLY
#define HINTED(push) push; watch = watch || asks; asks = 0
#else
#define HINTED(push) push; watch = 1
#endif

/* rg_wake_if_needed */
inline wake_one() {
	if
	:: ps[0].idle -> ps[0].idle = 0; ps[0].rung = 1
	:: !ps[0].idle && ps[1].idle -> ps[1].idle = 0; ps[1].rung = 1
	:: else -> skip
	fi
}

inline push(p, g) {
	if
	:: p == NONE -> global = global | BIT(g)
	:: else -> ps[p].queue = ps[p].queue | BIT(g)
	fi;
	wake_one()
}

/* ---- the M ---- */

inline use(me) {
	if
	:: have != NONE -> begin_use(me, have)
	:: else -> skip
	fi
}

/* rg_gate_in, rg_revoked; in_rt is stored. */
inline look(me) {
	if
	:: atomic { (TO_BE_FREE(me) || ms[me].word == FREE) -> use(me) }
	:: !TO_BE_FREE(me) && ms[me].word != FREE ->
		if
#ifdef MUTANT_WITHDRAW_BY_STORE
		:: ms[me].word == ASKED -> atomic { drain(me); ms[me].word = FREE; use(me) }
#else
		:: atomic { ms[me].word == ASKED -> drain(me); ms[me].word = FREE; use(me) }
#endif
		:: atomic {
			ms[me].word == TAKEN -> have = NONE;
			store(me, P_NONE);
			store(me, WORD_FREE)
		   }
		:: atomic { ms[me].word == FREE -> use(me) }
		fi
	fi
}

#ifdef STOP
#define GATE_STOP \
	if \
	:: ms[me].asked_stop -> goto quit \
	:: else -> skip \
	fi
#else
#define GATE_STOP skip
#endif

inline gate_in(me) {
#ifdef MUTANT_LOOK_BEFORE_STORE
	look(me);
	store(me, IN_RT);
#else
	store(me, IN_RT);
#ifdef MUTANT_STOP_FIRST
	GATE_STOP;
#endif
	look(me);
#endif
	GATE_STOP
}

/* rg_spare_give */
inline give(next, p) {
	SECTION {
		assert(!ps[p].drained);
		ps[p].m = next;
		ms[next].p = p
	}
}

#define TAKE_SPARE(n) \
	atomic { \
		if \
		:: spares -> n = LOW(spares); spares = spares & ~BIT(n) \
		:: else -> n = NONE \
		fi \
	}

/* The end of rg_leave */
inline go_out(me) {
	if
	:: have != NONE -> end_use(me, have)
	:: else -> skip
	fi;
	store(me, OUT_RT)
}

/* The kernel, in the scheduler. */
#ifdef MUTANT_TWO_LOOKS
#define IN_SCHEDULER OUT_RT
#else
#define IN_SCHEDULER ASIDE_RT
#endif

inline pop(g) {
	atomic {
		if
		:: ps[have].queue -> g = LOW(ps[have].queue); ps[have].queue = ps[have].queue & ~BIT(g)
		:: else -> g = NONE
		fi
	}
}

inline start(g) {
	assert(gs[g] == QUEUED);
	assert(!onstack[g]); /* else two Ms run on its stack */
	gs[g] = RUNNING;
	onstack[g] = 1
}

/* Gs that can be readied: new ones in their order, and those that are parked. */
#define READIABLE (gs[1] == NEW -> BIT(1) : (gs[2] == NEW -> BIT(2) : parked))

proctype M(byte me)
{
	byte g = NONE, n = NONE; /* Gs; n also an M */
	byte have = NONE;        /* m->p, as it knows it */
	bit asks;

	atomic {
		if
		:: me < NP -> have = me; begin_use(me, have)
		:: else -> skip
		fi
	};
loop:	/* rg_sched_loop */
	atomic {
#ifdef STOP
		if
		:: ms[me].stop -> goto over
		:: else -> skip
		fi;
#endif
		if
		:: have == NONE -> drain(me); spares = spares | BIT(me); goto spare
		:: else -> end_use(me, have); store(me, IN_SCHEDULER) /* do_round */
		fi
	};
	atomic { store(me, IN_RT); begin_use(me, have) };
	atomic {
		pop(g);
		if
		:: g == NONE && global -> g = LOW(global); global = global & ~BIT(g)
		:: g == NONE && !global && ps[OTHER(have)].queue ->
			g = LOW(ps[OTHER(have)].queue);
			ps[OTHER(have)].queue = ps[OTHER(have)].queue & ~BIT(g)
		:: else -> skip
		fi;
		if
		:: g != NONE -> goto found
		:: else -> ps[have].idle = 1; end_use(me, have); store(me, IN_SCHEDULER); drain(me); goto idle
		fi
	};

spare:	/* rg_spare_wait */
	if
#ifdef STOP
	:: ms[me].stop -> goto over
#endif
	:: atomic {
		ms[me].p != NONE -> have = ms[me].p;
		begin_use(me, have);
#ifndef MUTANT_NOT_ADOPTED
		ps[have].armed = me;
#endif
		goto loop
	   }
	fi;

idle:	/* The poller's wait; rg_idle_leave */
	atomic {
		ps[have].rung && ps[have].armed == me -> ps[have].rung = 0;
		ps[have].idle = 0;
		store(me, IN_RT);
		begin_use(me, have);
		goto loop
	};

found:
	atomic {
#ifdef MUTANT_WATCHED_TOO_EARLY
		asks = !watch && WAITS(have);
	};
	atomic {
#endif
		if
		:: ps[have].queue -> wake_one()
		:: else -> skip
		fi;
		start(g);
		drain(me);
		store(me, CUR_SOME);
		/* rg_watch_run */
#if !defined(MUTANT_UNWATCHED) && !defined(MUTANT_WATCHED_TOO_EARLY)
		asks = WAITS(have);
#endif
		watch = watch || asks;
		asks = 0
	};

resumed:
	atomic {
		if
		:: ending[g] -> ending[g] = 0; gs[g] = DONE; goto away
#ifdef MUTANT_OUT_TOO_EARLY
		:: !ending[g] -> store(me, OUT_RT)
#else
		:: !ending[g] -> go_out(me)
#endif
#ifdef SHED
		:: !ending[g] && have != NONE && spares -> TAKE_SPARE(n); goto shed
#endif
		fi
	};
#ifdef MUTANT_OUT_TOO_EARLY
	atomic {
		if
		:: have != NONE -> end_use(me, have)
		:: else -> skip
		fi
	};
#endif

user:	/* Compute, or make a call. */
	if
	:: atomic { left -> left--; drain(me); ms[me].computing = 1 };
		atomic { !ms[me].computing -> goto user }
	:: gate_in(me)
	fi;
#ifdef MUTANT_HINT_TOO_EARLY
	asks = !watch;
#endif
	atomic {
		if
		:: left -> left--; gs[g] = QUEUED /* waits for its turn */
		:: left -> left--; gs[g] = PARKED /* with a P or without */
#ifdef STOP
		:: g == 0 -> gs[g] = DONE; goto stop
		:: have == NONE && g != 0 -> gs[g] = QUEUED; ending[g] = 1 /* that is done with a P */
		:: have != NONE && g != 0 -> gs[g] = DONE
#else
		:: have == NONE -> gs[g] = QUEUED; ending[g] = 1 /* a goroutine ends with a P */
		:: have != NONE -> gs[g] = DONE
#endif
		:: left && READIABLE -> left--; n = LOW(READIABLE); parked = parked & ~BIT(n) /* readies another */
		fi;
		if
		:: n == NONE -> goto away
		:: else -> gs[n] = QUEUED; drain(me)
		fi;
		HINTED(push(have, n));
		n = NONE;
		goto resumed
	};

away:	/* switch_to, by the short way if there is a P; the post of the G that was left */
	atomic {
		if
		:: have != NONE -> pop(n)
		:: else -> skip
		fi;
		if
		:: n == NONE -> store(me, CUR_NONE)
		:: else -> start(n)
		fi;
#ifndef MUTANT_POST_ON_STACK
		onstack[g] = 0;
#endif
		if
		:: gs[g] == QUEUED -> drain(me); HINTED(push(have, g))
		:: gs[g] == PARKED -> parked = parked | BIT(g)
		:: else -> skip
		fi;
#ifdef MUTANT_POST_ON_STACK
	};
	atomic {
		onstack[g] = 0;
#endif
		g = n;
		n = NONE;
		if
		:: g == NONE -> goto loop
		:: else -> goto resumed
		fi
	};

#ifdef SHED
shed:	/* hand_over of lane.c: the P to n */
	atomic { end_use(me, have); ps[have].m = n };
	ms[n].p = have;
	atomic { n = NONE; have = NONE; store(me, P_NONE); go_out(me); goto user };
#endif

#ifdef STOP
stop:	/* ask_stop */
	atomic { stopping = 1; n = 0 };
	do
	:: n < NM -> ms[n].asked_stop = 1; ms[n].stop = 1; n++
	:: else -> break
	od;
	ps[0].rung = 1;
	ps[1].rung = 1;
	n = NONE;
	goto loop;
quit:
	atomic { drain(me); ms[me].cur = 0; g = NONE };
	goto loop;
over:	/* The end of thread_main. A spare may have got a P this moment. */
	atomic {
		drain(me);
		if
		:: have == NONE && ms[me].p != NONE -> have = ms[me].p; begin_use(me, have)
		:: else -> skip
		fi;
		if
		:: have != NONE -> assert(ps[have].user == me + 1); ps[have].drained = 1
		:: else -> skip
		fi;
		ended++
	}
#endif
}

/* A CAS on the word of m by another thread. */
inline cas_word(m, old, new, done) {
	atomic {
		some_land(m);
		if
		:: ms[m].word == old -> ms[m].word = new; done = 1
		:: else -> done = 0
		fi
	}
}

/* watch of sysmon.c; look, take_away and take of revoke.c */
proctype Sysmon()
{
	byte p, m, next = NONE;
	bit done, again, starved;

sleep:
	atomic {
		watch && !stopping -> watch = 0;
#ifdef MUTANT_WATCH_CLEARED_LATE
		watch = 1;
#endif
#ifndef MUTANT_NO_WATCH_BARRIER
		drain_all()
#endif
	};
look_at_p:
	SECTION {
		atomic { m = ps[p].m; some_land(m); done = ms[m].cur && WAITS(p) };
		if
		:: !done -> goto looked
		:: else -> done = 0; again = 1; TAKE_SPARE(next)
		fi;
		if
		:: next == NONE -> starved = 1; goto looked
		:: else -> skip
		fi;
		cas_word(m, FREE, ASKED, done);
		if
		:: !done -> goto give_back
		:: else -> skip
		fi
	};
#ifndef MUTANT_NO_MEMBARRIER
	drain(m);
#endif
	SECTION {
		atomic { some_land(m); done = (ms[m].in_rt == OUTSIDE) };
#ifdef MUTANT_TWO_LOOKS
	};
	SECTION {
		atomic { some_land(m); done = done && ms[m].cur };
#endif
#ifndef MUTANT_HOLDER_UNASKED
		atomic { some_land(m); done = done && ms[m].p == p };
#endif
		skip
	};
	SECTION {
		if
#ifdef MUTANT_TAKE_BY_STORE
		:: done -> ms[m].word = TAKEN
#else
		:: done -> cas_word(m, ASKED, TAKEN, done)
#endif
#ifdef MUTANT_UNDO_BY_STORE
		:: else -> drain(m); ms[m].word = FREE
#else
		:: else -> cas_word(m, ASKED, FREE, done); done = 0
#endif
		fi;
#ifdef STOP
	};
	SECTION {
#endif
		if
		:: done -> give(next, p); done = 0; next = NONE; goto looked
		:: else -> goto give_back
		fi
	};
give_back:
	atomic { spares = spares | BIT(next); next = NONE };
looked:
	atomic {
		p++;
		m = 0;
		if
		:: p < NP -> goto look_at_p
		:: else -> p = 0
		fi
	};
#ifdef TICK
	/* Those that were taken by a tick. */
	SECTION {
		if
		:: notices && spares ->
			p = LOW(notices);
			TAKE_SPARE(next);
			if
			:: next != NONE -> notices = notices & ~BIT(p); give(next, p); next = NONE
			:: else -> skip
			fi;
			p = 0
		:: else -> skip
		fi
	};
#endif
	if
	:: starved -> atomic { spares || stopping -> starved = 0 }
	:: else -> skip
	fi;
	atomic {
#ifdef MUTANT_WATCH_CLEARED_LATE
		watch = 0;
#endif
		watch = watch || again || notices;
		again = 0;
		goto sleep
	}
}

#ifdef TICK
/* A timer interrupt on the CPU of an M: it sees the page as the M's next instruction would. */
proctype Tick()
{
	byte m, ticks = TICK;

	do
	:: atomic {
		ticks ->
		ticks--;
		if
		:: m = 0
		:: m = 1
		:: NM == 3 -> m = 2
		fi;
		drain(m);
		if
		:: ms[m].in_rt == OUTSIDE && ms[m].cur && ms[m].p != NONE && ms[m].word == FREE ->
			ms[m].word = TAKEN;
			notices = notices | BIT(ms[m].p);
			watch = 1
		:: else -> skip
		fi;
		m = 0
	   }
	od
}
#endif

/*
 * When nothing moves any more but Gs that compute: each P is held; who is queued finds no M asleep, nor one
 * that computes with a P while there is a spare. Then these go on.
 */
proctype Judge()
{
	byte n;
	bit queued;

	do
	:: timeout ->
		atomic {
			drain_all();
			queued = (gs[0] == QUEUED || gs[1] == QUEUED || gs[2] == QUEUED);
			assert(!queued || ANY_WORK || stopping);
			for (k : 0 .. NP - 1) {
				n = ps[k].m;
				if
				:: stopping -> skip
				:: !stopping && (ms[n].p != k || ms[n].word == TAKEN) -> assert(!spares)
				:: !stopping && ms[n].p == k && ms[n].word != TAKEN ->
					assert(ms[n].computing || ps[k].idle);
					assert(!queued || (ms[n].computing && !spares))
				fi
			}
			n = ended;
			for (k : 0 .. NM - 1) {
				n = n + (ms[k].computing || (spares & BIT(k)) != 0)
			}
			n = n + ps[0].idle + ps[1].idle;
			assert(n == NM || stopping);
			queued = 0;
			n = 0;
			k = 0
		};
		if
		:: ms[0].computing || ms[1].computing || ms[2].computing ->
			atomic { ms[0].computing = 0; ms[1].computing = 0; ms[2].computing = 0 }
		:: else -> break
		fi
	od;
#ifdef STOP
	if
	:: stopping ->
		assert(ended == NM);
		/* rg_m_drain_rest */
		for (k : 0 .. NP - 1) {
			assert(ps[k].drained || ps[k].user == 0)
		}
	:: else -> skip
	fi;
#endif
	for (k : 0 .. NG - 1) {
		assert(gs[k] == NEW || gs[k] == DONE || gs[k] == PARKED || stopping)
	}
}

init
{
	atomic {
		for (k : 0 .. NM - 1) {
			ms[k].in_rt = INSIDE;
			ms[k].p = (k < NP -> k : NONE)
		}
		for (k : 0 .. NP - 1) {
			ps[k].m = k;
			ps[k].armed = k
		}
		gs[0] = QUEUED;
		global = BIT(0);
		k = 0;
		run M(0);
		run M(1);
#if NM == 3
		run M(2);
#endif
		run Sysmon();
#ifdef TICK
		run Tick();
#endif
		run Judge()
	}
}
