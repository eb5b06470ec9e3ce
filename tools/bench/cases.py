# SPDX-License-Identifier: MIT
"""What `make bench` measures: the contestants, the workloads, and the targets beside them.

A case is one way to run a program; it yields one or more metrics, named as in the program's output.
Ratios are ringo / peer. Targets are those of docs/design/quality.md; "go" stands for every Go.
"""

from dataclasses import dataclass, field

GO = ("go1.19", "go1.24")
RUNTIMES = ("ringo",) + GO + ("boost", "pthread")


@dataclass(frozen=True, eq=False)
class Metric:
    key: str                    # as printed by the program
    unit: str
    targets: dict = field(default_factory=dict)     # contestant -> bound of ringo / contestant
    own: float = None           # bound of ringo's figure itself
    chapter: float = None       # the chapter's figure of a goroutine: the least to reach
    chapter_thread: str = ""    # ... and of an OS thread, for comparison
    higher: bool = False        # more is better


@dataclass(frozen=True, eq=False)
class Case:
    group: str                  # what ONLY= selects
    title: str
    who: tuple
    metrics: tuple
    kind: str = "micro"         # micro, echo, http: how it is run
    args: tuple = ()            # of a micro program; "GS" is the number of goroutines
    procs: int = 1
    connections: int = 0


def spawn(batch, procs):
    who = RUNTIMES if procs == 1 else tuple(w for w in RUNTIMES if w != "boost")
    return Case("spawn", f"spawn + run + exit, batches of {batch}, P={procs}", who,
                (Metric("ns", "ns per G", {"go": 0.2}, chapter=300, chapter_thread="10000"),),
                args=("spawn", batch), procs=procs)


def yielding(k):
    return Case("yield", f"yield, {k} Gs, P=1", RUNTIMES,
                (Metric("ns", "ns per switch", {"go": 0.2}, chapter=100,
                        chapter_thread="1000..10000"),), args=("yield", k))


def chan(title, workload, n, procs, bound=None):
    who = RUNTIMES if procs == 1 else tuple(w for w in RUNTIMES if w != "boost")
    return Case("chan", f"{title}, P={procs}", who,
                (Metric("ns", "ns", {"go": bound} if bound else {}),),
                args=(workload, n), procs=procs)


def echo(connections, targets, per_s_targets):
    # A thread per connection is a contestant only where that many threads are reasonable.
    who = ("ringo",) + GO + ("epoll",) + (("pthread",) if connections == 64 else ())
    return Case("echo", f"TCP echo 64 B, {connections} connections", who,
                (Metric("cpu_ns", "server CPU ns per request", targets),
                 Metric("per_s", "requests/s", per_s_targets, higher=True)),
                kind="echo", connections=connections)


CASES = (
    *(spawn(batch, procs) for procs in (1, 2) for batch in (1, 100, 10000)),
    *(yielding(k) for k in (2, 100, 10000)),
    chan("channel round trip, unbuffered", "chan_rt", 500000, 1, 0.25),
    chan("channel round trip, unbuffered", "chan_rt", 500000, 2, 0.6),
    chan("channel of 64, one way", "chan_buf", 2000000, 1),
    chan("channel of 64, one way", "chan_buf", 2000000, 2),
    Case("mutex", "mutex lock + unlock, uncontended, P=1", RUNTIMES,
         (Metric("ns", "ns", {"go": 0.4}),), args=("mutex", 5000000)),
    # "A million Gs in 4 GB and about 1 s": the second is taken as what they may cost in all.
    Case("sleepers", "GS sleepers of 1 s, P=1", ("ringo",) + GO + ("boost",),
         (Metric("excess_ms", "ms beyond 1 s", {"go": 0.3}, chapter=1000),
          Metric("peak_mib", "peak MiB with page tables", chapter=4096)), args=("sleepers", "GS")),
    Case("memory", "GS Gs parked on a channel, P=1", RUNTIMES,
         (Metric("bytes", "bytes per G with page tables", own=4400, chapter=4096,
                 chapter_thread="1 MB"),), args=("memory", "GS")),
    echo(1, {}, {}),
    echo(64, {"epoll": 1.05, "go": 0.65}, {}),
    echo(1000, {}, {"epoll": 0.9}),
    Case("http", "HTTP/1.1 keep-alive, file of 128 B, 64 connections",
         ("ringo",) + GO + ("nginx", "nginx-mem"),
         (Metric("cpu_ns", "server CPU ns per request",
                 {"nginx": 0.9, "nginx-mem": 0.9, "go": 0.35}),
          Metric("per_s", "requests/s", higher=True)), kind="http", connections=64),
)
