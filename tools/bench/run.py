#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the contestants side by side and print one table.

Rounds go over all cases; within a round the contestants of a case run one after the other,
beginning with another one each round. A ratio is taken between the two runs of the same case and
round, and the table shows the median of these: a disturbance of the machine hits both sides or is
outvoted.

Servers and programs with one P have CPU 0 (the first allowed one), the load has the next.
"""

import argparse
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from statistics import median

import machine
import table
from cases import CASES, VARIANTS, Variant

TIMEOUT = 60            # of one program, in seconds
SLOW = 15               # a program that takes longer than this is not run again
LOAD_SECONDS = 1.5
SETTLE = 0.1            # between programs: what one leaves to the kernel shall not slow the next
BODY = b"x" * 127 + b"\n"
PROGRAM = {"cost": "preempt", "blocked": "preempt", "paced": "echo", "traced": "echo"}     # others: as the kind
CPUS = sorted(os.sched_getaffinity(0))

# ringo's httpd keeps small files in memory and looks at them again each second. nginx comes closest
# to that with open_file_cache; "nginx-mem" is the fastest that it can do, a body from its
# configuration. A small file is measurably cheaper for nginx without sendfile.
NGINX_CONF = """
daemon off;
pid {dir}/nginx.pid;
error_log stderr error;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    server {{
        listen 127.0.0.1:{port};
        location / {{ {answer} }}
    }}
}}
"""
NGINX_FILE = "root {dir}/www; open_file_cache max=100; open_file_cache_valid 1s;"
NGINX_MEMORY = 'return 200 "{body}";'


class Failed(Exception):
    """A contestant did not give its figures; the message says why."""


def prepare(cpus):
    """In the child: its CPUs, our nice value, and as many files as the hard limit allows."""
    def run():
        os.sched_setaffinity(0, cpus)
        # Where sessions are scheduled as groups, a nice value means nothing outside its own.
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(os.nice(0)))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return run


def environment(procs, more=None):
    """Preemption by sysmon, whatever else this machine has, unless more says otherwise."""
    return dict(os.environ, GOMAXPROCS=str(procs), RINGO_PROCS=str(procs),
                **{"RINGO_PREEMPT": "sysmon", **(more or {})})


def variant(who):
    return VARIANTS.get(who, Variant(who))


def last_line(text):
    return (text.strip().splitlines() or ["no message"])[-1]


def execute(command, cpus, procs=1, env=None, cwd=None):
    """Run a program to its end; its standard output."""
    try:
        done = subprocess.run(command, preexec_fn=prepare(cpus), env=environment(procs, env),
                              capture_output=True, text=True, timeout=TIMEOUT, check=False,
                              cwd=cwd)
    except subprocess.TimeoutExpired:
        raise Failed(f"took more than {TIMEOUT} s") from None
    if done.returncode:
        raise Failed(f"status {done.returncode}: {last_line(done.stderr)}")
    return done.stdout


def figures(output):
    return {k: float(v) for k, v in (line.split() for line in output.splitlines())}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


@contextmanager
def server(command, port, env=None):
    """A server on CPU 0 with one P, listening; ended together with what it has started."""
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, preexec_fn=prepare(CPUS[:1]), env=environment(1, env),
                                   start_new_session=True, stdout=messages, stderr=messages)
        try:
            end = time.monotonic() + 5
            while process.poll() is None and not listens(port):
                if time.monotonic() > end:
                    raise Failed("server does not listen")
                time.sleep(0.01)
            yield process.pid
        except (Failed, OSError):
            if process.poll() is None:
                raise
            messages.seek(0)
            raise Failed(f"server ended with status {process.returncode}: "
                         f"{last_line(messages.read())}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cpu_ns(pid):
    """CPU time of a process and its children, all threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
        total += sum(cpu_ns(child) for child in (task / "children").read_text().split())
    return total


@contextmanager
def bpfd(program, directory):
    """A ringo-bpfd of ours, as the programs find it: whether it is there."""
    path = Path(directory) / "bpfd"
    if (not program.exists()
            or subprocess.run([program, "--check"], capture_output=True, check=False).returncode):
        yield False
        return
    os.environ["RINGO_BPFD"] = str(path)
    with subprocess.Popen([program, "-s", path]) as process:
        while process.poll() is None and not path.exists():
            time.sleep(0.01)
        try:
            yield True
        finally:
            process.terminate()


class Bench:
    def __init__(self, programs, scratch, with_bpf):
        self.bin = programs
        self.with_bpf = with_bpf
        self.seed = 0
        self.dir = Path(scratch)
        self.dir.chmod(0o755)       # nginx's worker is another user
        (self.dir / "www").mkdir()
        (self.dir / "www" / "file").write_bytes(BODY)
        self.gs = min(1000000, machine.memory_available() // 12000 // 100000 * 100000) or 50000

    def present(self, case, who):
        if case.kind == "http" and not shutil.which("wrk"):
            return False
        if case.kind == "traced" and not (self.bin / "ringo-trace").exists():
            return False
        if who.startswith("nginx"):
            return bool(shutil.which("nginx"))
        if who == "ringo-bpf" and not self.with_bpf:
            return False
        return (self.bin / f"{variant(who).of}-{PROGRAM.get(case.kind, case.kind)}").exists()

    def title(self, case):
        return case.title.replace("GS", "1M" if self.gs == 1000000 else str(self.gs))

    def metrics(self, case, who):
        """What it has figures of: where there are no loops, none of theirs."""
        return [m for m in case.metrics if m.key != "hog_pct" or variant(who).hogs != 0]

    def run(self, case, who):
        return getattr(self, case.kind)(case, who)

    def micro(self, case, who):
        named = {"GS": self.gs, "SEED": self.seed}
        program = f"{variant(who).of}-{PROGRAM.get(case.kind, case.kind)}"
        return figures(execute([self.bin / program, *(str(named.get(a, a)) for a in case.args)],
                               CPUS[:case.procs], case.procs, variant(who).env, self.dir))

    lang = preempt = micro

    def cost(self, case, who):
        """Best of a few runs, with preemption and without."""
        off = f"{variant(who).of}-off"
        runs = [(self.micro(case, who)["ns"], self.micro(case, off)["ns"])
                for _ in range(6)]
        return {"added": 100 * (min(on for on, _ in runs) / min(off for _, off in runs) - 1)}

    def blocked(self, case, who):
        with subprocess.Popen([self.bin / "load-block"], preexec_fn=prepare(CPUS[:2][-1:]),
                              cwd=self.dir, stdout=subprocess.PIPE) as other_side:
            other_side.stdout.readline()
            try:
                return self.micro(case, who)
            finally:
                other_side.kill()

    def traced(self, case, who):
        """Best of a few runs, recorded and not; who records has the CPU of the load."""
        runs = [[self.paced(case, who, beside)["cpu_ns"] for beside in (self.recorder, nullcontext)]
                for _ in range(6)]
        return {"added": 100 * (min(on for on, _ in runs) / min(off for _, off in runs) - 1)}

    @contextmanager
    def recorder(self, pid):
        with subprocess.Popen([self.bin / "ringo-trace", "-q", "--no-kernel", "-s", "0", "-o", "/dev/null",
                               str(pid)],
                              preexec_fn=prepare(CPUS[:2][-1:])) as process:
            yield
            process.terminate()
        if process.returncode:
            raise Failed(f"ringo-trace ended with status {process.returncode}")

    def paced(self, case, who, recorded=nullcontext):
        """Requests at a given rate, and goroutines that compute beside their server."""
        port, v = free_port(), variant(who)
        hogs, file = case.hogs if v.hogs is None else v.hogs, self.dir / "hogs"
        file.unlink(missing_ok=True)
        beside = [str(hogs), str(case.burst_ms), file] if hogs else []
        with (server([self.bin / f"{v.of}-echo", str(port), *beside], port, v.env) as pid,
              recorded(pid)):
            return figures(execute([self.bin / "load-paced", str(port), str(case.connections),
                                    str(case.rate), str(LOAD_SECONDS), str(pid), *beside[2:]],
                                   CPUS[:2][-1:]))

    def echo(self, case, who):
        port = free_port()
        with server([self.bin / f"{who}-echo", str(port)], port) as pid:
            return figures(execute([self.bin / "load-echo", str(port), str(case.connections),
                                    str(LOAD_SECONDS), str(pid)], CPUS[:2][-1:]))

    def http_command(self, who, port):
        root = self.dir / "www"
        if who.startswith("nginx"):
            answer = (NGINX_MEMORY if who == "nginx-mem" else NGINX_FILE).format(
                dir=self.dir, body=BODY.decode())
            conf = self.dir / "nginx.conf"
            conf.write_text(NGINX_CONF.format(dir=self.dir, port=port, answer=answer))
            return ["nginx", "-c", str(conf), "-e", "stderr"]
        if who == "ringo":
            return [self.bin / "ringo-http", "-q", "-l", f"127.0.0.1:{port}", "-r", root]
        return [self.bin / f"{who}-http", str(port), root / "file"]

    def http(self, case, who):
        port = free_port()
        with server(self.http_command(who, port), port) as pid:
            check_file(port)
            self.wrk(case, port, 1)
            before = cpu_ns(pid)
            requests, per_s = self.wrk(case, port, 2)
            return {"cpu_ns": (cpu_ns(pid) - before) / requests, "per_s": per_s}

    def wrk(self, case, port, seconds):
        out = execute(["wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s",
                       f"http://127.0.0.1:{port}/file"], CPUS[:2][-1:])
        if "Non-2xx" in out or "Socket errors" in out:
            raise Failed("wrong answers under load")
        return (int(re.search(r"(\d+) requests in", out).group(1)),
                float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)))


def check_file(port):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        c.request("GET", "/file")
        answer = c.getresponse()
        if answer.status != 200 or answer.read() != BODY:
            raise Failed(f"wrong answer, status {answer.status}")
    except (OSError, http.client.HTTPException) as e:
        raise Failed(f"no answer: {e!r}") from None
    finally:
        c.close()


def cpu_used(of_all):
    """CPU seconds: of all processes on our CPUs, or of the programs run so far and ourselves."""
    if not of_all:
        return sum(u.ru_utime + u.ru_stime for u in map(
            resource.getrusage, (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)))
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    busy = (sum(map(int, (f[1], f[2], f[3], f[6], f[7], f[8])))
            for f in lines if re.fullmatch(r"cpu\d+", f[0]) and int(f[0][3:]) in CPUS)
    return sum(busy) / os.sysconf("SC_CLK_TCK")


class Results:
    def __init__(self, bench, cases):
        self.bench = bench
        self.plan = {c: [w for w in c.who if bench.present(c, w)] for c in cases}
        self.samples = {(c, m.key, w): {} for c in cases for m in c.metrics for w in self.plan[c]}
        self.failures = {}
        self.finished = set()       # too slow or broken: not run again
        self.others = []            # what other processes had of the CPUs, run by run

    def measure(self, case, who, index):
        time.sleep(SETTLE)
        began, used = time.monotonic(), cpu_used(True) - cpu_used(False)
        try:
            got = self.bench.run(case, who)
            for m in self.bench.metrics(case, who):
                self.samples[case, m.key, who][index] = got[m.key]
        except (Failed, KeyError, ValueError) as e:
            self.failures[case, who] = str(e)
            self.finished.add((case, who))
        took = time.monotonic() - began
        self.others.append((cpu_used(True) - cpu_used(False) - used) / took / len(CPUS))
        if took > SLOW:
            self.finished.add((case, who))

    def round(self, index):
        self.bench.seed = index
        for case, plan in self.plan.items():
            print(f"round {index + 1}: {self.bench.title(case)}", file=sys.stderr, flush=True)
            shift = index % len(plan) if plan else 0
            for who in plan[shift:] + plan[:shift]:
                if (case, who) not in self.finished:
                    self.measure(case, who, index)

    def blocks(self):
        return [table.block(self.bench.title(c), m,
                            {w: self.samples[c, m.key, w] for w in self.plan[c]})
                for c in self.plan for m in c.metrics]

    def notes(self):
        absent = {}
        for c in self.plan:
            for w in set(c.who) - set(self.plan[c]):
                absent.setdefault(w, set()).add(c.kind)
        return ([f"{w} is absent ({', '.join(sorted(k))})" for w, k in sorted(absent.items())]
                + [f"{w} failed: {self.bench.title(c)}: {why}"
                   for (c, w), why in self.failures.items()]
                + [f"{w} is slow, run once: {self.bench.title(c)}" for c, w in self.finished
                   if (c, w) not in self.failures])


def run_rounds(results, rounds, budget):
    """As many rounds as asked for and as the time budget allows; at least one."""
    began = time.monotonic()
    for i in range(rounds):
        round_began = time.monotonic()
        results.round(i)
        now = time.monotonic()
        if now - began + (now - round_began) > budget:
            return i + 1
    return rounds


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--bin", type=Path, required=True, help="where the programs are")
    p.add_argument("--out", type=Path, required=True, help="where the results go")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", default="", help="groups, comma separated: "
                   + ", ".join(dict.fromkeys(c.group for c in CASES)))
    p.add_argument("--budget", type=int, default=1200, help="seconds in all")
    args = p.parse_args()
    args.only = set(filter(None, args.only.split(",")))
    unknown = args.only - {c.group for c in CASES}
    if unknown:
        p.error(f"no such group: {', '.join(unknown)}")
    return args


def main():
    args = arguments()
    cases = [c for c in CASES if (not args.only or c.group in args.only) and c.procs <= len(CPUS)]
    head = machine.head(map(str, args.bin.glob("*")))
    with (tempfile.TemporaryDirectory(prefix="ringo-bench-") as scratch,
          bpfd(args.bin / "ringo-bpfd", scratch) as with_bpf):
        results = Results(Bench(args.bin.resolve(), scratch, with_bpf), cases)
        done = run_rounds(results, args.rounds, args.budget)
    head["rounds"] = str(done) + (f" of {args.rounds} (time budget)" if done < args.rounds else "")
    others = sorted(100 * max(x, 0) for x in results.others)
    head["other work"] = (f"had {median(others):.0f} % of the CPUs, median of all runs; "
                          f"{others[len(others) * 9 // 10]:.0f} % in the worst tenth")
    blocks, notes = results.blocks(), results.notes()
    text = table.text(head, blocks, notes)
    args.out.mkdir(parents=True, exist_ok=True)
    name = "partial" if args.only else "latest"     # a part does not replace a full run
    (args.out / f"{name}.txt").write_text(text)
    (args.out / f"{name}.json").write_text(
        json.dumps({"head": head, "notes": notes, "figures": blocks}, indent=1) + "\n")
    print(text, end="")


if __name__ == "__main__":
    main()
