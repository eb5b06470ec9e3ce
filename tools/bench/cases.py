# SPDX-License-Identifier: MIT
"""What `make bench` measures: the contestants, the workloads, and the targets beside them.

A case is one way to run a program; it yields one or more metrics, named as in the program's output.
Ratios are ringo / peer. Targets are those of docs/design/quality.md; "go" stands for every Go.
"""

import time
from dataclasses import dataclass, field, replace

GO = ("go1.19", "go1.24")
GOROUTINES = ("ringo",) + GO
TIERS = ("ringo", "ringo-bpf") + GO     # of preemption
THREADS = GOROUTINES + ("pthread",)
RUNTIMES = GOROUTINES + ("boost", "pthread")
SYNC = (0.45, 0.6)              # mutex held, cond, timers, with one P and with two
SELECT = (0.6, 0.8)
LOCKS = (1.2, 1.2)      # nearly all of it is two locked instructions, which Go needs, too
LOOKS = (1, 1)          # a load and a branch
KERNEL_TICK_MS = time.clock_getres(6) * 1000            # 6: CLOCK_MONOTONIC_COARSE


@dataclass(frozen=True)
class Variant:
    """A contestant run in another way; it stands for itself in the table."""
    of: str
    env: dict = field(default_factory=dict)
    hogs: int = None            # instead of the case's


VARIANTS = {
    "ringo-off": Variant("ringo", {"RINGO_PREEMPT": "off"}),
    "ringo-bpf": Variant("ringo", {"RINGO_PREEMPT": "bpf"}),
    "ringo-alone": Variant("ringo", hogs=0),
    "go1.19-off": Variant("go1.19", {"GODEBUG": "asyncpreemptoff=1"}),
    "go1.24-off": Variant("go1.24", {"GODEBUG": "asyncpreemptoff=1"}),
}


@dataclass(frozen=True, eq=False)
class Metric:
    key: str                    # as printed by the program
    unit: str
    targets: dict = field(default_factory=dict)     # contestant -> bound of ringo / contestant
    own: float = None           # bound of ringo's figure itself
    own_bpf: float = None       # ... of ringo-bpf's, where it is another
    chapter: float = None       # the chapter's figure of a goroutine: the least to reach
    chapter_thread: str = ""    # ... and of an OS thread, for comparison
    higher: bool = False        # more is better
    compared: bool = True       # a ratio of two of them means something


@dataclass(frozen=True, eq=False)
class Case:
    group: str                  # what ONLY= selects
    title: str
    who: tuple
    metrics: tuple
    kind: str = "micro"         # the program, and how it is run: see class Bench
    args: tuple = ()            # "GS" is the number of goroutines, "SEED" the number of the round
    procs: int = 1
    connections: int = 0
    rate: int = 0               # of paced: requests/s
    hogs: int = 0               # goroutines that compute beside
    burst_ms: int = 0           # how long each does, before a new one goes on; 0: for ever


def spawn(batch, procs):
    who = RUNTIMES if procs == 1 else tuple(w for w in RUNTIMES if w != "boost")
    return Case("spawn", f"spawn + run + exit, batches of {batch}, P={procs}", who,
                (Metric("ns", "ns per G", {"go": 0.2}, chapter=300, chapter_thread="10000"),),
                args=("spawn", batch), procs=procs)


def yielding(k):
    return Case("yield", f"yield, {k} Gs, P=1", RUNTIMES,
                (Metric("ns", "ns per switch", {"go": 0.2}, chapter=100,
                        chapter_thread="1000..10000"),), args=("yield", k))


def both(group, title, workload, arg, bounds=(None, None), who=RUNTIMES, unit="ns"):
    """A workload with one P and with two. bounds: of ringo / Go, for each."""
    return tuple(
        Case(group, f"{title}, P={procs}", tuple(w for w in who if procs == 1 or w != "boost"),
             (Metric("ns", unit, {"go": bound} if bound else {}),),
             args=(workload, arg), procs=procs)
        for procs, bound in zip((1, 2), bounds))


def lang(group, title, workload, arg, bounds=(None, None), who=GOROUTINES, unit="ns"):
    return tuple(replace(c, kind="lang")
                 for c in both(group, title, workload, arg, bounds, who, unit))


def echo(connections, targets, per_s_targets):
    # A thread per connection is a contestant only where that many threads are reasonable.
    who = GOROUTINES + ("epoll",) + (("pthread",) if connections == 64 else ())
    return Case("echo", f"TCP echo 64 B, {connections} connections", who,
                (Metric("cpu_ns", "server CPU ns per request", targets),
                 Metric("per_s", "requests/s", per_s_targets, higher=True)),
                kind="echo", connections=connections)


P50, P99 = "p50_us", "p99_us"


def paced(title, metrics, who=GOROUTINES, **how):
    return Case("preempt", title, who, metrics, kind="paced", connections=128, **how)


def beside_hogs(hogs, who, targets_of_p50, targets_of_p99):
    """4000 echoes a second on the CPU that the hogs have."""
    return paced(f"4000 echoes/s beside {hogs} tight loop{'s'[:hogs != 1]}",
                 (Metric(P50, "us, median latency", targets_of_p50),
                  Metric(P99, "us, 99th percentile of latency", targets_of_p99))
                 + ((Metric("hog_pct", "% of the CPU for the loops", own=80, higher=True),)
                    if hogs else ()), who, rate=4000, hogs=hogs)


def low_load(rate):
    return paced(f"{rate} echoes/s", (Metric("cpu_ns", "server CPU ns per request"),),
                 ("ringo", "ringo-off") + GO, rate=rate)


def late_ticker(title, workload, **bounds):
    return Case("preempt", title, TIERS,
                (Metric(P50, "us late, median"),
                 Metric(P99, "us late, 99th percentile", **bounds)),
                kind="blocked", args=(workload, 2000))


def beside_blocked(call, workload):
    return late_ticker(f"1 ms ticker beside a G that blocks in {call} every 25 ms, P=1",
                       workload, own=1500, own_bpf=1000)


TRACING = (
    Case("trace", "20000 echoes/s while ringo-trace records them", ("ringo",),
         (Metric("added", "% of the server's CPU time added", own=5, compared=False),),
         kind="traced", connections=128, rate=20000),
)

PREEMPT = (
    beside_hogs(0, GOROUTINES, {}, {}),
    beside_hogs(1, ("ringo", "ringo-bpf", "ringo-alone") + GO, {"ringo-alone": 1.2},
                {"ringo-alone": 3, "go": 0.2}),
    beside_hogs(50, TIERS, {}, {"go": 0.2}),
    Case("preempt", "open load 0.5, 99.5 % of 20 us, 0.5 % of 20 ms, P=1", TIERS,
         (Metric("p50", "slowdown of the short ones, median"),
          Metric("p99", "slowdown of the short ones, 99th percentile"),
          Metric("p999", "slowdown of the short ones, 99.9th percentile", {"go": 0.1})),
         kind="preempt", args=("open_load", "SEED")),
    Case("preempt", "gaps of a 1 ms ticker beside a loop of 500 ms, P=1", TIERS,
         (Metric("p99_ms", "ms, 99th percentile", own=3),
          Metric("worst_ms", "ms, longest", own=1 + 2 * KERNEL_TICK_MS)),
         kind="preempt", args=("gap", 500)),
    Case("preempt", "cost of preemption where nobody waits, P=1", TIERS,
         (Metric("added", "% of CPU time added", own=0.5, compared=False),),
         kind="cost", args=("cpu_job", 60)),
    late_ticker("1 ms ticker, nobody blocks: the machine's share, P=1", "blocked_never"),
    beside_blocked("nanosleep", "blocked_sleep"),
    beside_blocked("read of a pipe", "blocked_read"),
    beside_blocked("flock", "blocked_flock"),
    paced("1000 echoes/s behind loops of 20 ms, each a new G, one at a time",
          (Metric(P50, "us, median latency"),
           Metric(P99, "us, 99th percentile of latency", own=1100)), TIERS,
          rate=1000, hogs=1, burst_ms=20),
    low_load(500),
    low_load(5000),
)

CASES = (
    *(spawn(batch, procs) for procs in (1, 2) for batch in (1, 100, 10000)),
    *(yielding(k) for k in (2, 100, 10000)),
    *both("chan", "channel round trip, unbuffered", "chan_rt", 500000, (0.4, 0.6)),
    *both("chan", "channel of 1, one way", "chan_buf", 1, who=THREADS),
    *both("chan", "channel of 64, one way", "chan_buf", 64),
    *both("chan", "channel of 1024, one way", "chan_buf", 1024),
    *both("chan", "channel of 64, 4 producers, 4 consumers", "prodcons", 4, who=THREADS,
          unit="ns per operation"),
    *both("mutex", "mutex lock + unlock, uncontended", "mutex", 5000000, LOCKS),
    *both("mutex", "mutex shared by 2 Gs", "mutex_shared", 2, LOCKS, THREADS),
    *both("mutex", "mutex shared by 100 Gs", "mutex_shared", 100, LOCKS, THREADS),
    *both("mutex", "mutex shared by 100 Gs, held over a yield", "mutex_held", 100, SYNC, THREADS),
    *both("waitgroup", "waitgroup add + done + wait", "waitgroup", 5000000, who=GOROUTINES),
    *lang("select", "select over 2, uncontended", "select_uncontended", 2000000, SELECT),
    *lang("select", "select over 3 and 4, sync contended", "select_sync", 500000, SELECT),
    *lang("select", "select over 2, async contended", "select_async", 2000000, SELECT),
    *lang("select", "4 selects over 1, nonblocking", "select_nonblock", 2000000, LOOKS),
    *lang("select", "the same as try_send and try_recv", "chan_try", 5000000, LOOKS),
    *lang("select", "send, then select over 4, one ready", "select4_ready", 1000000, SELECT),
    *lang("select", "select over 4, waiting, round trip", "select4_block", 500000, SELECT),
    *lang("rwmutex", "rwmutex, 4 Gs, 1 of 100 writes", "rwmutex", 4, who=THREADS),
    *lang("cond", "cond, turn of one of two", "cond", 500000, SYNC, THREADS),
    *lang("once", "once that is done", "once", 20000000, who=THREADS),
    *lang("context", "cancel tree: a root with 1000 children", "ctx_flat", 1000,
          unit="ns per context"),
    *lang("context", "cancel tree: a chain of 100", "ctx_chain", 100, unit="ns per context"),
    *lang("context", "with_timeout + cancel", "ctx_timeout", 500000),
    *lang("timer", "timer start + stop", "timer_stop", 1, SYNC),
    *lang("timer", "timer start + stop, 1000 at a time", "timer_stop", 1000, SYNC),
    *lang("timer", "10000 timers fire, a G each", "timer_fire", 10000, unit="CPU ns per timer"),
    *(Case("timer", f"lateness of a 1 ms ticker, P={procs}", THREADS,
           (Metric("p50_us", "us, median"), Metric("p99_us", "us, 99th percentile")),
           kind="lang", args=("ticker", 500), procs=procs) for procs in (1, 2)),
    *lang("panic", "defer + call", "defer", 20000000),
    *lang("panic", "panic caught by try", "panic", 500000),
    *PREEMPT,
    *TRACING,
    # "A million Gs in 4 GB and about 1 s": the second is taken as what they may cost in all.
    Case("sleepers", "GS sleepers of 1 s, P=1", GOROUTINES + ("boost",),
         (Metric("excess_ms", "ms beyond 1 s", {"go": 1}, chapter=1000),
          Metric("peak_mib", "peak MiB with page tables", chapter=4096)), args=("sleepers", "GS")),
    Case("memory", "GS Gs parked on a channel, P=1", RUNTIMES,
         (Metric("bytes", "bytes per G with page tables", own=4400, chapter=4096,
                 chapter_thread="1 MB"),), args=("memory", "GS")),
    echo(1, {}, {}),
    echo(64, {"epoll": 1.05, "go": 0.85}, {}),
    echo(1000, {}, {"epoll": 0.9}),
    Case("http", "HTTP/1.1 keep-alive, file of 128 B, 64 connections",
         GOROUTINES + ("nginx", "nginx-mem"),
         (Metric("cpu_ns", "server CPU ns per request",
                 {"nginx": 0.9, "nginx-mem": 0.9, "go": 0.6}),
          Metric("per_s", "requests/s", higher=True)), kind="http", connections=64),
)
