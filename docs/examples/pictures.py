#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pictures.py screen|trace: an SVG of what is on standard input, for pictures.sh.

screen: a screen of text, as "tmux capture-pane -p -e" prints it. trace: a moment of a recording of ringo-trace, with
the tracks that viewers show: rings, threads, goroutines. Each picture has its own background, for pages of any colour.
"""

import json
import re
import sys
from xml.sax.saxutils import escape, quoteattr

COLUMN, LINE, MARGIN = 8.0, 18, 12

# Of a trace: the groups of tracks by number in the file, from above; pixels; how many arrows it shows.
GROUPS = {3: "rings", 1: "threads", 2: "goroutines"}
LEFT, WIDTH, TRACK, BAR, ARROWS = 110, 1090, 22, 16, 24
RUNS, RUNNABLE, WAITS, SUBMIT, COMPLETE, WAKE = "#e8843c", "#f5d76e", "#a9c8e8", "#7a5ea8", "#3c8f5a", "#333"
LEGEND = {"runs": RUNS, "runnable": RUNNABLE, "waits": WAITS, "submit": SUBMIT, "complete": COMPLETE}


def svg(width, height, style, background, body):
    print('<?xml version="1.0" encoding="UTF-8"?>')
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">')
    print(f'<style>{style}</style>\n<rect width="100%" height="100%" fill="{background}"/>')
    print("\n".join(body))
    print("</svg>")


def rect(x, y, width, height, fill, title=""):
    inner = f"><title>{escape(title)}</title></rect>" if title else "/>"
    return f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0.8):.1f}" height="{height}" fill={quoteattr(fill)}{inner}'


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y}"{more}>{escape(words)}</text>'


def screen():
    lines = sys.stdin.read().rstrip().split("\n")
    body = []
    for i, line in enumerate(lines):
        words = re.sub(r"\x1b\[[0-9;]*m", "", line)
        y = MARGIN + i * LINE
        reverse = "\x1b[7m" in line
        if reverse:
            body.append(rect(MARGIN, y, 80 * COLUMN, LINE, "#d8d8d0"))
        if words:  # as wide in any font
            more = f' textLength="{len(words) * COLUMN:.0f}" xml:space="preserve"'
            body.append(text(MARGIN, y + 13, words, more + (' class="reverse"' if reverse else "")))
    width, height = int(80 * COLUMN + 2 * MARGIN), len(lines) * LINE + 2 * MARGIN
    svg(width, height, "text{font:13px monospace;fill:#d8d8d0}.reverse{fill:#1c1f24}", "#1c1f24", body)


def track_of(event):
    return event["pid"], event["tid"]


class Moment:
    """Where so many runs of woken goroutines lie closest together."""

    def __init__(self, events):
        things = [e for e in events if e["ph"] != "M"]
        self.total = max(e["ts"] + e.get("dur", 0) for e in things)
        wakes = {e["id"]: e for e in things if e["ph"] == "s" and e["name"] == "wake"}
        runs = sorted((e for e in things if e["ph"] == "f" and e["name"] == "wake"), key=lambda e: e["ts"])
        if len(runs) < ARROWS:
            sys.exit("too few goroutines were woken for a picture")
        windows = [runs[i:i + ARROWS] for i in range(len(runs) - ARROWS + 1)]
        runs = min(windows, key=lambda w: w[-1]["ts"] - w[0]["ts"])
        self.arrows = [(wakes[e["id"]], e) for e in runs]
        margin = (runs[-1]["ts"] - runs[0]["ts"]) / 20
        self.begin, self.end = runs[0]["ts"] - margin, runs[-1]["ts"] + margin
        self.spans = [e for e in things if e["ph"] == "X" and e["ts"] < self.end and e["ts"] + e["dur"] > self.begin]
        shown = {track_of(e) for e in self.spans} | {track_of(e) for arrow in self.arrows for e in arrow}
        self.tracks = sorted(shown, key=lambda t: (list(GROUPS).index(t[0]), t[1]))
        names = {track_of(e): e["args"]["name"] for e in events if e["name"] == "thread_name"}
        self.names = {t: f"{names[t]} {t[1]}" if GROUPS[t[0]] == "goroutines" else names[t] for t in self.tracks}

    def x(self, us):
        us = min(max(us, self.begin), self.end)
        return LEFT + (us - self.begin) / (self.end - self.begin) * (WIDTH - LEFT - MARGIN)


def colour(span):
    name, group = span["name"], GROUPS[span["pid"]]
    if group == "rings":
        return SUBMIT if name.startswith("submit") else COMPLETE
    return RUNS if group == "threads" else LEGEND.get(name, WAITS)


def bar(moment, span, y):
    name, x = span["name"], moment.x(span["ts"])
    width = moment.x(span["ts"] + span["dur"]) - x
    yield rect(x, y, width, BAR, colour(span), f"{name}: {span['dur']:.3f} µs")
    if width > 6.8 * len(name) + 4:
        yield text(x + 3, y + 12, name)


def legend(x, y):
    for name, fill in LEGEND.items():
        yield rect(x, y, 10, 10, fill)
        yield text(x + 14, y + 9, name)
        x += 14 + 7 * (len(name) + 2)
    yield f'<path d="M{x:.0f} {y + 1}l14 8" class="wake"/>'
    yield text(x + 22, y + 9, "from who wakes to who runs")


def trace():
    moment = Moment(json.load(sys.stdin)["traceEvents"])
    us = moment.end - moment.begin
    body = [text(MARGIN, 20, f"ringo-trace: the busiest {us:.1f} µs of {moment.total / 1000:.1f} ms")]
    body += legend(WIDTH - 600, 11)
    y, rows = 34, {}
    for i, track in enumerate(moment.tracks):
        if not i or moment.tracks[i - 1][0] != track[0]:
            body.append(text(MARGIN, y + 13, GROUPS[track[0]], ' font-weight="bold"'))
            y += TRACK
        rows[track] = y
        body.append(text(MARGIN, y + 12, moment.names[track]))
        body.append(f'<path d="M{LEFT} {y + BAR + 2.5}H{WIDTH - MARGIN}" stroke="#ddd"/>')
        y += TRACK
    for span in moment.spans:
        body += bar(moment, span, rows[track_of(span)])
    for begin, end in moment.arrows:
        y1, y2 = rows[track_of(begin)] + BAR, rows[track_of(end)]
        body.append(f'<path d="M{moment.x(begin["ts"]):.1f} {y1}L{moment.x(end["ts"]):.1f} {y2}" class="wake"/>')
    body.append('<marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
                f'<path d="M0 0L6 3L0 6z" fill="{WAKE}"/></marker>')
    arrow = f".wake{{stroke:{WAKE};stroke-width:.7;marker-end:url(#tip)}}"
    svg(WIDTH, y + MARGIN, f"text{{font-family:monospace;font-size:11px;fill:#000}}{arrow}", "#fcfcf4", body)


{"screen": screen, "trace": trace}[sys.argv[1]]()
