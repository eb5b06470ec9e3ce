# SPDX-License-Identifier: MIT
"""From samples to figures: medians, paired ratios, verdicts, and the text table."""

from statistics import median

HEADINGS = ("", "median", "min..max", "chapter", "ringo/it", "min..max", "target")
LAYOUT = "{:<14} {:>9} {:>19} {:>12} {:>9} {:>15}  {}"


def number(x):
    """Three significant digits, without an exponent."""
    if abs(x) >= 100:
        return f"{x:.0f}"
    return f"{x:.3g}" if abs(x) >= 0.001 or x == 0 else f"{x:.4f}"


def spread(values):
    return f"{number(min(values))}..{number(max(values))}"


def bound_for(metric, who):
    return metric.targets.get("go" if who.startswith("go") else who)


def verdict(value, bound, higher):
    return "ok" if (value >= bound if higher else value <= bound) else "missed"


def row(metric, who, samples, ours):
    """One contestant's line of a metric. samples, ours: round -> value."""
    values = list(samples.values())
    r = {"who": who, "unit": metric.unit, "samples": values, "median": median(values),
         "min": min(values), "max": max(values)}
    if who in ("ringo", "ringo-bpf"):
        own = metric.own_bpf if who == "ringo-bpf" and metric.own_bpf else metric.own
        for name, bound in (("own target", own), ("chapter", metric.chapter)):
            if bound is not None:
                r[name] = {"bound": bound, "verdict": verdict(r["median"], bound, metric.higher)}
    if who == "ringo":
        return r
    if who == "pthread" and metric.chapter_thread:
        r["chapter"] = {"text": metric.chapter_thread}
    pairs = [ours[i] / samples[i] for i in samples if i in ours and samples[i]]
    if pairs and metric.compared:
        r["ratio"] = {"median": median(pairs), "min": min(pairs), "max": max(pairs)}
        bound = bound_for(metric, who)
        if bound is not None:
            r["target"] = {"bound": bound,
                           "verdict": verdict(r["ratio"]["median"], bound, metric.higher)}
    return r


def block(title, metric, results):
    """All lines of one metric. results: contestant -> {round: value}, in the order of the table."""
    ours = results.get("ringo", {})
    return {"title": title, "metric": metric.key, "unit": metric.unit,
            "higher_is_better": metric.higher,
            "rows": [row(metric, who, s, ours) for who, s in results.items() if s]}


def bound_text(entry, higher):
    return f"{'>=' if higher else '<='} {number(entry['bound'])} {entry['verdict']}"


def line(r, higher):
    chapter = r.get("chapter", {})
    target = r.get("own target") or r.get("target")
    ratio = r.get("ratio")
    if "bound" in chapter:
        chapter = {"text": f"{number(chapter['bound'])} {chapter['verdict']}"}
    return LAYOUT.format(
        "  " + r["who"], number(r["median"]), spread(r["samples"]), chapter.get("text", ""),
        number(ratio["median"]) if ratio else "",
        f"{number(ratio['min'])}..{number(ratio['max'])}" if ratio else "",
        bound_text(target, higher) if target else "").rstrip()


def summary(blocks):
    rows = [r for b in blocks for r in b["rows"]]
    targets = [t["verdict"] for r in rows for t in (r.get("target"), r.get("own target")) if t]
    chapter = [r["chapter"]["verdict"] for r in rows if "verdict" in r.get("chapter", {})]
    return "; ".join(f"{name}: {v.count('ok')} ok, {v.count('missed')} missed"
                     for name, v in (("targets", targets), ("chapter's figures", chapter)))


def text(head, blocks, notes):
    out = [f"{k + ':':<13} {v}" for k, v in head.items()]
    out += [f"{'note:':<13} {n}" for n in notes]
    out += ["", LAYOUT.format(*HEADINGS).rstrip()]
    for b in blocks:
        out.append(f"{b['title']} [{b['unit']}]")
        out += [line(r, b["higher_is_better"]) for r in b["rows"]]
    out += ["", summary(blocks)]
    return "\n".join(out) + "\n"
