#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs a program with 1,000,000 goroutines to be looked at, and how long a look takes.

The program (ringo/observed.c) has one P and does one unit of work after the other on CPU 0 (the first
allowed one), all of its threads included; whoever looks has the next. Rounds without and with the
observer alternate, beginning and ending without. The figure is the ratio of the program's CPU time
for a unit in a round with it and in the ones before and after: the median of all, and their
quartiles. A disturbance of the machine hits both or is outvoted. Wall time is beside it: it also
tells of waiting, but on a shared machine mostly of others.

A look a second costs less than most machines are steady. So there are rounds, too, in which look
follows on look ("no pause"): what they cost of the target's CPU time, by the number of looks, is what
one a second takes of a CPU. Where the observer is at work all the time the median slice of 50 ms
stands for a round: what comes and goes is others. "beside" is a control: a program that has nothing
to do with the target and reads as much of its own memory as ringo-ps reads of the target's. What that
costs are caches and memory, which CPUs share.
"""

import argparse
import fcntl
import http.client
import mmap
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import machine

CPUS = sorted(os.sched_getaffinity(0))
SLICE = 0.05            # seconds
PATIENCE = 120          # seconds until the target is ready, or an observer has ended
TOP_LOOKS = 10
RECORD = 128            # bytes that a tool reads of each goroutine
WORKLOADS = {"pingpong": "round trip of a channel, all in the cache",
             "walk": "waking each of the parked ones in turn, out of the cache"}


class Failed(Exception):
    """There are no figures; the message says why."""


def on_cpu(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


def cpu_clock(pid):
    """The clock of a process's CPU time: clock_getcpuclockid(3)."""
    return (~pid << 3) | 2


@dataclass
class Work:
    cpu: float      # CPU time of a unit, on the average,
    slice: float    # and in the median slice of the round
    wall: float
    share: float    # of a CPU that the target had


class Target:
    def __init__(self, program, workload, many, scratch):
        self.file, self.socket = Path(scratch) / "units", Path(scratch) / "socket"
        self.many = many
        for path in (self.file, self.socket):
            path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [program, workload, str(many), self.file, f"unix:{self.socket}"], preexec_fn=on_cpu(CPUS[0]),
            env=dict(os.environ, RINGO_PROCS="1", RINGO_PREEMPT="sysmon"))
        self.pid = self.process.pid
        self.units = self.map_units()

    def map_units(self):
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            if self.socket.exists():
                with open(self.file, "rb") as f:
                    return mmap.mmap(f.fileno(), 8, prot=mmap.PROT_READ)
            time.sleep(0.05)
        raise Failed(f"the target is not ready (status {self.process.poll()})")

    def end(self):
        self.process.kill()
        self.process.wait()

    def now(self):
        """Units, CPU time and wall time so far."""
        return (int.from_bytes(self.units[:8], sys.byteorder),
                time.clock_gettime_ns(cpu_clock(self.pid)), time.monotonic_ns())

    def work(self, seconds):
        """What a unit took meanwhile, in nanoseconds."""
        marks = [self.now()]
        while marks[-1][2] < marks[0][2] + seconds * 1e9:
            time.sleep(SLICE)
            marks.append(self.now())
        if self.process.poll() is not None:
            raise Failed(f"the target has ended with status {self.process.returncode}")
        if marks[-1][0] == marks[0][0]:
            raise Failed("the target stands still")
        slices = [since(*ends) for ends in zip(marks, marks[1:])]
        units, cpu, wall = since(marks[0], marks[-1])
        return Work(cpu=cpu / units, wall=wall / units, share=cpu / wall,
                    slice=median(c / u for u, c, _ in slices if u))


def since(before, now):
    return tuple(b - a for a, b in zip(before, now))


# ---- observers: each is there while its block lasts, and yields what was used of CPU so far ----

class Looks:
    """One look after the other by a thread, one a second or without a pause."""

    def __init__(self, look, pause=True):
        self.look, self.pause, self.stop, self.error, self.n = look, pause, threading.Event(), None, 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while True:
                began = time.monotonic()
                self.look()
                self.n += 1
                if self.stop.wait(max(0, began + 1 - time.monotonic()) if self.pause else 0):
                    return
        except (OSError, Failed, http.client.HTTPException, subprocess.SubprocessError) as e:
            self.error = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        if self.error:
            raise Failed(str(self.error))


def quiet(command):
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def scrape(target):
    c = UnixConnection(target.socket)
    c.request("GET", "/metrics")
    answer = c.getresponse()
    text = answer.read()
    c.close()
    if answer.status != 200 or b"ringo_switches_total" not in text:
        raise Failed(f"/metrics answered {answer.status}")


class Terminal:
    """A tool on a terminal of 80 by 24, whose screen is read and thrown away."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.drain(PATIENCE)

    def drain(self, seconds):
        """All there is, for so long at most if there is nothing; whether there was something."""
        seen = False
        while select.select([self.fd], [], [], 0.05 if seen else seconds)[0]:
            with suppress(OSError):
                if os.read(self.fd, 1 << 16):
                    seen = True
                    continue
            raise Failed("the tool has ended")
        return seen

    def press(self, key):
        """Until the screen has changed for it."""
        os.write(self.fd, key)
        self.drain(PATIENCE)

    def close(self):
        with suppress(OSError):
            os.write(self.fd, b"q")
            while os.read(self.fd, 1 << 16):
                pass
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@contextmanager
def terminal(command):
    t = Terminal(command)
    try:
        yield t
    finally:
        t.close()


@contextmanager
def top(tools, target):
    """As a user has it, at its own pace."""
    with (terminal([str(tools / "ringo-top"), str(target.pid)]) as t,
          Looks(lambda: t.drain(0.1), pause=False)):
        yield None


@contextmanager
def top_no_pause(tools, target):
    with (terminal([str(tools / "ringo-top"), "-d", "3600", str(target.pid)]) as t,
          Looks(lambda: t.press(b"r"), pause=False) as looks):
        yield looks


@contextmanager
def tool(command, ready=None):
    """Until SIGINT; ready: what it says when it has begun."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as p:
        said = ""
        while ready and ready not in said:
            line = p.stderr.readline()
            if not line:
                raise Failed(f"{Path(command[0]).name}: {said.strip()}")
            said += line
        try:
            yield None
        finally:
            p.send_signal(signal.SIGINT)
            p.communicate(timeout=PATIENCE)
        if p.returncode:
            raise Failed(f"{Path(command[0]).name} ended with status {p.returncode}")


def ps(tools, target):
    quiet([tools / "ringo-ps", "-u", str(target.pid)])


def metrics(_tools, target):
    scrape(target)


def looking(look, pause=True):
    return lambda tools, target: Looks(lambda: look(tools, target), pause)


def prof(mode):
    return lambda tools, target: tool([tools / "ringo-prof", mode, "-t", "600", "-p", str(target.pid)],
                                      "watching process")


def trace(tools, target):
    return tool([tools / "ringo-trace", "-q", "-s", "0", "-o", "/dev/null", "-p", str(target.pid)])


def beside(pause=True):
    def begin(_tools, target):
        memory = bytearray(os.urandom(1 << 16)) * (target.many * RECORD >> 16)

        def read():
            for at in range(0, len(memory), 1 << 20):
                bytes(memory[at:at + (1 << 20)])
        return Looks(read, pause)
    return begin


@dataclass
class Observer:
    begin: object           # a context: with looks that it counts, or None
    needs: str = ""
    before: float = 0.2     # seconds until it is at work,
    after: float = 0.2      # and from its end until all is as before
    steady: bool = False    # at work all the time


OBSERVERS = {
    "nothing": Observer(looking(lambda _tools, _target: None)),
    "ringo-ps -u": Observer(looking(ps), "ringo-ps"),
    "  no pause": Observer(looking(ps, False), "ringo-ps", steady=True),
    "ringo-top": Observer(top, "ringo-top"),
    "  no pause ": Observer(top_no_pause, "ringo-top", steady=True),
    "beside": Observer(beside()),
    "  no pause  ": Observer(beside(False), steady=True),
    "/metrics": Observer(looking(metrics)),
    "  no pause   ": Observer(looking(metrics, False), steady=True),
    "ringo-prof": Observer(prof("--on-cpu"), "ringo-prof", steady=True),
    "  --off-cpu": Observer(prof("--off-cpu"), "ringo-prof", steady=True),
    "ringo-trace": Observer(trace, "ringo-trace", 2, 4, True),
}
NAMES = {name.strip() for name in OBSERVERS}


# ---- rounds ----

def busy():
    """Seconds of CPU that we and those whom we have waited for have used."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def watched(observer, target, tools, seconds):
    """What the target did meanwhile; the share of a CPU that the observer used; looks a second."""
    used, began = busy(), time.monotonic()
    with observer.begin(tools, target) as looks:
        time.sleep(observer.before)
        n, since = looks.n if looks else 0, time.monotonic()
        got = target.work(seconds)
        rate = (looks.n - n) / (time.monotonic() - since) if looks else None
    share = (busy() - used) / (time.monotonic() - began)
    time.sleep(observer.after)
    return got, share, rate


def ratios(off, on, what):
    """Each round with, to the one before and to the one after: no side is favoured where both are noisy."""
    return [getattr(b, what) / getattr(x, what) for a, b, c in zip(off, on, off[1:]) for x in (a, c)]


def quartiles(values, form="{:.3f}"):
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return form.format(middle), f"{form.format(low)}..{form.format(high)}"


HEAD = (f"  {'':<12} {'CPU ns per unit':>17} {'':>8} {'':>14} {'wall':>7} {'':>12}"
        f" {'observer':>8} {'looks':>7} {'one a s':>8}\n"
        f"  {'':<12} {'without':>8} {'with':>8} {'ratio':>8} {'quartiles':>14} {'ratio':>7} {'quartiles':>12}"
        f" {'% of CPU':>8} {'per s':>7} {'costs':>8}")


def measure(name, target, tools, args):
    observer = OBSERVERS[name]
    off, runs = [target.work(args.seconds)], []
    for _ in range(args.rounds):
        runs.append(watched(observer, target, tools, args.seconds))
        off.append(target.work(args.seconds))
    on, shares, rates = zip(*runs)
    what = "slice" if observer.steady else "cpu"
    cpu = ratios(off, on, what)
    line = (f"  {name:<12} {median(getattr(x, what) for x in off):>8.1f}"
            f" {median(getattr(x, what) for x in on):>8.1f}"
            " {:>8} {:>14}".format(*quartiles(cpu, "{:.4f}"))
            + " {:>7} {:>12}".format(*quartiles(ratios(off, on, "wall"))) + f" {100 * median(shares):>8.1f}")
    if "no pause" not in name:
        return line
    # What the target's CPU time was more by, and by how many looks.
    more = (1 - 1 / median(cpu)) * median(x.share for x in on) / median(rates)
    return line + f" {median(rates):>7.1f} {100 * more:>6.2f} %"


def times(values):
    values = [1000 * v for v in values]
    return f"{median(values):.0f} ms, {min(values):.0f}..{max(values):.0f}"


def timed(command):
    began = time.monotonic()
    quiet(command)
    return time.monotonic() - began


def looks(target, tools, n):
    """How long one look takes, start of the tool included."""
    yield "ringo-ps -u", times([timed([tools / "ringo-ps", "-u", str(target.pid)]) for _ in range(n)])
    yield "ringo-ps -g", times([timed([tools / "ringo-ps", "-g", str(target.pid)]) for _ in range(n)])
    if (tools / "ringo-top").exists():
        command = [tools / "ringo-top", "-b", "-d", "0.1", "-n", str(TOP_LOOKS), str(target.pid)]
        yield f"ringo-top, of {TOP_LOOKS}", times([
            (timed(command) - 0.1 * (TOP_LOOKS - 1)) / TOP_LOOKS for _ in range(n)])


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--bin", type=Path, required=True, help="where ringo-observed is")
    p.add_argument("--tools", type=Path, required=True, help="where the tools are")
    p.add_argument("--goroutines", type=int, default=1000000)
    p.add_argument("--seconds", type=float, default=5, help="of a round")
    p.add_argument("--rounds", type=int, default=8, help="with the observer")
    p.add_argument("--workload", choices=WORKLOADS, help="only that")
    p.add_argument("--only", default="", help="observers, comma separated: " + ", ".join(NAMES))
    args = p.parse_args()
    args.only = set(filter(None, args.only.split(","))) or NAMES
    if args.only - NAMES:
        p.error(f"no such observer: {', '.join(args.only - NAMES)}")
    return args


def main():
    args = arguments()
    if len(CPUS) < 2:
        sys.exit("observe.py: two CPUs are needed, one for the target and one for who looks")
    head = {k: v for k, v in machine.head([]).items() if k != "tools"}
    for k, v in head.items():
        print(f"{k + ':':<13} {v}")
    print(f"{'rounds:':<13} {args.rounds} of {args.seconds:g} s with each observer;"
          f" one P, CPU {CPUS[0]}; observers on CPU {CPUS[1]}")
    os.sched_setaffinity(0, {CPUS[1]})
    with tempfile.TemporaryDirectory(prefix="ringo-observe-") as scratch:
        for workload in [args.workload] if args.workload else WORKLOADS:
            target = Target((args.bin / "ringo-observed").resolve(), workload, args.goroutines, scratch)
            try:
                print(f"\n{workload}: {WORKLOADS[workload]};"
                      f" {args.goroutines} goroutines are parked\n{HEAD}", flush=True)
                for name, observer in OBSERVERS.items():
                    if name.strip() in args.only and not (args.tools / observer.needs).exists():
                        print(f"  {name:<12} is not built", flush=True)
                    elif name.strip() in args.only:
                        print(measure(name, target, args.tools, args), flush=True)
                print("  one look:")
                for what, took in looks(target, args.tools, 5):
                    print(f"    {what}: {took}", flush=True)
            finally:
                target.end()


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"observe.py: {e}")
