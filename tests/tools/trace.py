#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""trace.py FILE [NAME=N | NAME>N | NAME~N]...: is it a trace as the trace-event format wants it, with these numbers?

Names: lost, garbage, cut; kernel: 1 if it has what the kernel does, kernel_lost; events.KIND as the file
counts them; runs: spans of goroutines on threads; and spans or moments of a name as the file has them, as in
X.sleep, i.exit, s.wake; tracks.GROUP; us.NAME, how long all spans of that name are together, in microseconds. ~ is
within 5 %.
"""

import collections
import json
import re
import sys

KEYS = {
    "X": {"ph", "pid", "tid", "ts", "dur", "name"},
    "i": {"ph", "pid", "tid", "ts", "s", "name"},
    "s": {"ph", "pid", "tid", "ts", "cat", "name", "id"},
    "f": {"ph", "pid", "tid", "ts", "cat", "name", "id", "bp"},
    "M": {"ph", "pid", "tid", "ts", "name", "args"},
}
GROUPS = {1: "threads", 2: "goroutines", 3: "rings", 4: "kernel"}


def once(pairs):
    assert len({k for k, _ in pairs}) == len(pairs), f"a key twice: {pairs}"
    return dict(pairs)


def no_constant(what):
    raise ValueError(what)


def check_event(e):
    keys = KEYS[e["ph"]]
    assert keys <= set(e) <= keys | {"args"}, e
    assert type(e["pid"]) is int and type(e["tid"]) is int and e["pid"] in GROUPS and e["tid"] >= 0, e
    for key in {"ts", "dur"} & set(e):
        assert type(e[key]) is float and e[key] >= 0, e
    assert type(e["name"]) is str and e["name"].isprintable() and e["name"], e
    assert type(e.get("args", {})) is dict, e
    assert e.get("s", "t") == "t" and e.get("bp", "e") == "e", e


def check_arrows(events):
    begins = {}
    for e in events:
        if e["ph"] == "s":
            assert e["id"] not in begins, e
            begins[e["id"]] = e
    ends = set()
    for e in events:
        if e["ph"] != "f":
            continue
        assert e["id"] in begins and e["id"] not in ends, e
        ends.add(e["id"])
        begin = begins[e["id"]]
        assert begin["ts"] <= e["ts"] + 0.0011 and begin["name"] == e["name"], (begin, e)


def check_nesting(events):
    """Spans of a track lie in one another or apart; a nanosecond is lost to rounding."""
    tracks = collections.defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            tracks[e["pid"], e["tid"]].append((round(e["ts"] * 1000), round((e["ts"] + e["dur"]) * 1000), e))
    for spans in tracks.values():
        spans.sort(key=lambda s: (s[0], -s[1]))
        around = []
        for begin, end, e in spans:
            while around and around[-1][1] <= begin + 2:
                around.pop()
            assert not around or end <= around[-1][1] + 2, (around[-1], e)
            around.append((begin, end, e))
    return tracks


def check(trace):
    assert set(trace) == {"displayTimeUnit", "traceEvents", "otherData"}, set(trace)
    assert trace["displayTimeUnit"] == "ns"
    events, other = trace["traceEvents"], trace["otherData"]
    for e in events:
        check_event(e)
    check_arrows(events)
    check_nesting(events)
    named = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    tracks = {(e["pid"], e["tid"]) for e in events if e["ph"] != "M"}
    assert tracks <= named, tracks - named
    counts = collections.Counter(f"{e['ph']}.{e['name']}" for e in events)
    counts["runs"] = sum(e["ph"] == "X" and e["pid"] == 1 and "g" in e.get("args", {}) for e in events)
    for pid, name in GROUPS.items():
        counts["tracks." + name] = sum(p == pid for p, _ in tracks)
    for e in events:
        if e["ph"] == "X":
            counts["us." + e["name"]] += e["dur"]
    for kind, n in other["events"].items():
        counts["events." + kind] = n
    for key in ("lost", "garbage", "cut"):
        counts[key] = int(other[key])
    counts["kernel"] = int("kernel_lost" in other)
    counts["kernel_lost"] = other.get("kernel_lost", 0)
    return counts


def main():
    with open(sys.argv[1], encoding="ascii") as f:
        trace = json.load(f, object_pairs_hook=once, parse_constant=no_constant)
    counts = check(trace)
    for wish in sys.argv[2:]:
        name, op, n = re.fullmatch(r"(.*)([=>~])(\d+)", wish).groups()
        got, n = counts[name], int(n)
        ok = {"=": got == n, ">": got > n, "~": abs(got - n) <= n / 20}[op]
        assert ok, f"{wish}: {counts[name]}; {dict(counts)}"


main()
