# SPDX-License-Identifier: MIT
"""The head of the table: on what and with what the figures were taken."""

import os
import re
import subprocess
from datetime import datetime, timezone


def first_line(*command, pattern="(.*)"):
    """The part of the command's output that pattern names, or None when it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1).strip() if found else None


def field(path, name):
    with open(path, encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return "unknown"


def memory_available():
    return int(field("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def tools(programs):
    """Versions of the compilers and peers; programs: those that were built."""
    boost = first_line("sed", "-n", "s/^#define BOOST_LIB_VERSION //p",
                       "/usr/include/boost/version.hpp")
    found = {
        "gcc": first_line("gcc", "-dumpfullversion"),
        "Go": ", ".join(first_line("go", "version", p, pattern=r"go(\d\S*)$") or p
                        for p in sorted(programs) if re.fullmatch(r".*/go[\d.]+-micro", p)),
        "Boost": boost.strip('"').replace("_", ".") if boost else None,
        "nginx": first_line("nginx", "-v", pattern=r"nginx/(\S+)"),
        "wrk": first_line("wrk", "-v", pattern=r"wrk \S*?(\d[\d.]*)"),
    }
    return ", ".join(f"{k} {v}" for k, v in found.items() if v)


def head(programs):
    commit = first_line("git", "describe", "--always", "--dirty", "--exclude=*")
    return {
        "ringo": commit or "unknown",
        "machine": f"{field('/proc/cpuinfo', 'model name')}, {len(os.sched_getaffinity(0))} cores, "
                   f"{int(field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": f"{os.uname().release} {os.uname().machine}",
        "tools": tools(programs),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load average": " ".join(f"{x:.2f}" for x in os.getloadavg()),
    }
