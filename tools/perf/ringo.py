# SPDX-License-Identifier: MIT
"""What goroutines did, from the probes of libringo as perf has recorded them.

    perf buildid-cache --add PROGRAM            (or libringo.so; once)
    perf probe %sdt_ringo:g__run                (and g__park, g__exit, op__submit, ...)
    perf record -e 'sdt_ringo:*' -p PID -- sleep 5
    perf script -s ringo.py

A line for each goroutine, named by the address of its record: how often and how long it ran, how often and how long
it waited, why most, and its operations of the ring. Goroutines that run when the recording begins or ends count from
or up to what was seen of them.
"""
from collections import Counter, defaultdict

# RINGO_WHY_NAMES of kmod/uapi/ringo_state.h
REASONS = [
    "", "sleep", "chan send", "chan receive", "NULL chan", "select", "mutex", "rwmutex read",
    "rwmutex write", "cond", "once", "semaphore", "waitgroup", "group", "context", "timer stop", "io",
    "blocking pool",
]


class Goroutine:
    def __init__(self):
        self.runs = 0
        self.ran = 0
        self.waited = 0
        self.ops = 0
        self.parks = Counter()
        self.parked_at = None


goroutines = defaultdict(Goroutine)
running = {}  # thread: (goroutine, since when)


def left(tid, now):
    """The thread runs nobody any more, or somebody else."""
    g, since = running.pop(tid, (None, 0))
    if g is not None:
        goroutines[g].ran += now - since


def on_run(tid, now, f):
    g = goroutines[f["arg1"]]
    left(tid, now)
    g.runs += 1
    if g.parked_at is not None:
        g.waited += now - g.parked_at
        g.parked_at = None
    running[tid] = (f["arg1"], now)


def on_park(tid, now, f):
    g = goroutines[f["arg1"]]
    why = f["arg2"]
    g.parks[REASONS[why] if why < len(REASONS) else str(why)] += 1
    g.parked_at = now
    left(tid, now)


def on_exit(tid, now, f):
    left(tid, now)


def on_submit(tid, now, f):
    goroutines[f["arg1"]].ops += 1


HANDLERS = {
    "sdt_ringo__g__run": on_run,
    "sdt_ringo__g__park": on_park,
    "sdt_ringo__g__exit": on_exit,
    "sdt_ringo__op__submit": on_submit,
}


def trace_unhandled(event_name, context, fields, perf_sample_dict):
    """perf calls this for each event, as none has a function of its own here."""
    handler = HANDLERS.get(event_name.replace(":", "__"))
    if handler:
        handler(fields["common_pid"], fields["common_s"] * 10**9 + fields["common_ns"], fields)


def trace_end():
    print("%-18s %8s %10s %8s %10s %8s  %s" % ("GOROUTINE", "RUNS", "RAN us", "PARKS", "WAITED us", "OPS", "MOST"))
    for address, g in sorted(goroutines.items(), key=lambda item: -item[1].ran):
        most = g.parks.most_common(1)
        print("%-18x %8d %10d %8d %10d %8d  %s" % (address, g.runs, g.ran // 1000, sum(g.parks.values()),
                                                   g.waited // 1000, g.ops, most[0][0] if most else "-"))
