# SPDX-License-Identifier: MIT
"""Goroutines in gdb, of live processes and of cores:

    info goroutines [TEXT]     a line for each; with TEXT only those whose line has it
    goroutine N COMMAND        COMMAND with the stack of goroutine N, as in: goroutine 3 bt
    goroutine all COMMAND      with each

Loaded by itself with an installed libringo.so; else: source ringo-gdb.py.

The goroutines are found as ringo-ps finds them (kmod/uapi/ringo_state.h), so that no debugging information is needed.
A parked one is shown by an unwinder that lets the innermost frame of the present thread be called by it, and hides
that frame: nothing is written, so it works with cores and harms no process.
"""
import re
import struct

import gdb
import gdb.unwinder

MAGIC, VERSION = 0x6574617473676E72, 1
STATES = ("free", "runnable", "running", "syscall", "waiting", "dead", "reserved")
REASONS = ("", "sleep", "chan send", "chan receive", "NULL chan", "select", "mutex", "rwmutex read", "rwmutex write",
           "cond", "once", "semaphore", "waitgroup", "group", "context", "timer stop", "io", "blocking pool")
RUNNABLE, RUNNING, SYSCALL, WAITING = 1, 2, 3, 4
MAIN = 2
SLOT_SHIFT = 28
# Offsets and sizes of ringo_state.h.
CLASSES_AT, MS_AT, M_SIZE, G_SIZE, MAX_MS, MAX_G = 88, 328, 32, 128, 4096, 1 << 28
PARKED = ("r15", "r14", "r13", "r12", "rbx", "rbp", "rip")


def read(addr, n):
    return bytes(gdb.selected_inferior().read_memory(addr, n))


def find_state():
    """Where the state is mapped: the name shows in processes and in cores."""
    for line in gdb.execute("info proc mappings", to_string=True).splitlines():
        if "/memfd:ringo-state" in line:
            return int(line.split()[0], 16)
    raise gdb.GdbError("No goroutines: no ringo_run goes on in this program.")


def symbol(addr):
    text = gdb.execute("info symbol %#x" % addr, to_string=True).split(" in section")[0]
    return "%#x" % addr if text.startswith("No symbol") else text.replace(" + ", "+")


class Goroutine:
    def __init__(self, runtime, index, record):
        f = struct.unpack("<QQqQIIBBHIQIBBBBQQqQQQIIIBBH", record)
        self.sp, self.slot, self.state, self.reason, self.flags = f[0], f[11], f[12], f[13], f[15]
        self.fn, self.site, self.name_at, self.gen = f[16], f[17], f[20], f[22]
        self.runtime, self.number = runtime, index + 1
        if self.flags & MAIN:
            self.fn = runtime.main_fn
        self.m = runtime.running.get(self.number, -1) if self.state == RUNNING else -1

    def alive(self):
        return self.state in (RUNNABLE, RUNNING, SYSCALL, WAITING)

    def state_text(self):
        if self.state in (SYSCALL, WAITING):
            return REASONS[self.reason] if 0 < self.reason < len(REASONS) else "waiting"
        return STATES[self.state]

    def name(self):
        if not self.name_at:
            return ""
        text = read(self.name_at, 32).split(b"\0")[0].decode("ascii", "replace")
        return "".join(c if c.isprintable() else "?" for c in text)

    def line(self):
        m = "" if self.m < 0 else "M %d" % self.m
        site = "ringo_run" if self.flags & MAIN else symbol(self.site)
        return "%-10s %-14s %-5s %-24s by %s  %s" % ("%d.%d" % (self.number, self.gen), self.state_text(), m,
                                                    symbol(self.fn), site, self.name())


class Runtime:
    """What the state says, checked: it may be garbage, too."""

    def __init__(self):
        at = find_state()
        head = read(at, MS_AT)
        magic, version, _, up, _, _, _, self.table, used, self.stride, limit, _, self.main_fn, _ = struct.unpack(
            "<QIIIIqqQQIIQQQ", head[:CLASSES_AT])
        if magic != MAGIC or version != VERSION or not up:
            raise gdb.GdbError("No goroutines: the runtime is starting or ending, or of another version than this.")
        self.used = struct.unpack("<I", read(used, 4))[0]
        if self.used > limit or limit > MAX_G or not G_SIZE <= self.stride <= 4096:
            raise gdb.GdbError("The table of goroutines is garbage.")
        self.classes = [struct.unpack_from("<QQ", head, CLASSES_AT + 16 * i) for i in range(8)]
        self.look_ms(read(at + MS_AT, MAX_MS * M_SIZE))

    def look_ms(self, ms):
        self.tids, self.running = [], {}
        for i in range(MAX_MS):
            page, tid = struct.unpack_from("<Qi", ms, i * M_SIZE)
            if not page:
                break
            self.tids.append(tid)
            try:
                self.running[struct.unpack("<I", read(page + 16, 4))[0]] = i
            except gdb.MemoryError:
                pass  # a BPF map's page is in no core

    def one(self, number):
        if not 0 < number <= self.used:
            raise gdb.GdbError("There is no goroutine %d." % number)
        return Goroutine(self, number - 1, read(self.table + (number - 1) * self.stride, G_SIZE))

    def all(self):
        piece = 4096
        for at in range(0, self.used, piece):
            n = min(piece, self.used - at)
            records = read(self.table + at * self.stride, n * self.stride)
            for i in range(n):
                g = Goroutine(self, at + i, records[i * self.stride:i * self.stride + G_SIZE])
                if g.alive():
                    yield g

    def stack(self, g):
        base, size = self.classes[(g.slot >> SLOT_SHIFT) & 7]
        lo = base + ((g.slot & ((1 << SLOT_SHIFT) - 1)) - 1) * size
        return (lo, lo + size) if base and g.slot else (0, 0)

    def thread_of(self, g):
        """Also where no M page says so: whose stack pointer is in its stack."""
        lo, hi = self.stack(g)
        for thread in gdb.selected_inferior().threads():
            if g.m >= 0 and thread.ptid[1] == self.tids[g.m]:
                return thread
        if g.m >= 0:
            return None
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            if lo <= int(gdb.parse_and_eval("(unsigned long)$rsp")) < hi:
                return thread
        return None


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Unwinder(gdb.unwinder.Unwinder):
    """While on: the frame at (pc, sp) was called by a parked goroutine."""

    def __init__(self):
        super().__init__("ringo")
        self.at = self.g = None

    def __call__(self, frame):
        if not self.g:
            return None
        pc, sp = frame.read_register("rip"), frame.read_register("rsp")
        if (int(pc), int(sp)) != self.at:
            return None
        unsigned = pc.type.strip_typedefs()
        word = gdb.lookup_type("unsigned long")
        info = frame.create_unwind_info(FrameId(gdb.Value(self.g.sp).cast(word), gdb.Value(int(pc)).cast(word)))
        values = struct.unpack("<7Q", read(self.g.sp, 56))
        for name, value in zip(PARKED, values):
            info.add_saved_register(name, gdb.Value(value).cast(word if name != "rip" else unsigned))
        info.add_saved_register("rsp", gdb.Value(self.g.sp + 56).cast(word))
        return info

    def show(self, g, command):
        # One more than asked for: the thread's own.
        command = re.sub(r"^((?:bt|backtrace|where)\b.*\s)(\d+)$", lambda m: m[1] + str(int(m[2]) + 1), command)
        newest = gdb.newest_frame()
        self.at = int(newest.read_register("rip")), int(newest.read_register("rsp"))
        self.g = g
        try:
            gdb.invalidate_cached_frames()
            caller = gdb.newest_frame().older()
            if not caller:
                raise gdb.GdbError("Goroutine %d: no stack." % g.number)
            caller.select()
            text = gdb.execute(command, to_string=True)
            # The thread's own frame is none of its frames.
            gdb.write(re.sub(r"\A#0 .*?\n(?=#1 )", "", text, flags=re.S))
        finally:
            self.at = self.g = None
            gdb.invalidate_cached_frames()


unwinder = Unwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def show(runtime, g, command):
    before = gdb.selected_thread()
    try:
        if g.state == RUNNING:
            thread = runtime.thread_of(g)
            if not thread:
                raise gdb.GdbError("Goroutine %d runs, and its thread is not to be found." % g.number)
            thread.switch()
            gdb.execute(command)
            return
        lo, hi = runtime.stack(g)
        if not g.slot:
            raise gdb.GdbError("Goroutine %d has not run yet." % g.number)
        if not lo <= g.sp <= hi - 56:
            raise gdb.GdbError("The stack of goroutine %d is garbage." % g.number)
        unwinder.show(g, command)
    finally:
        if before and before.is_valid():
            before.switch()


class InfoGoroutines(gdb.Command):
    """List the goroutines of the program. With an argument: those whose line has that text."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, arg, from_tty):
        for g in Runtime().all():
            line = g.line()
            if arg in line:
                gdb.write(line.rstrip() + "\n")


class GoroutineCommand(gdb.Command):
    """Do something with the stack of a goroutine, or of all: goroutine N COMMAND, goroutine all COMMAND."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        which, _, command = arg.strip().partition(" ")
        if not which or not command:
            raise gdb.GdbError("goroutine N COMMAND, as in: goroutine 3 bt; or goroutine all COMMAND.")
        runtime = Runtime()
        if which != "all":
            if not re.fullmatch(r"\d+(\.\d+)?", which):
                raise gdb.GdbError("%s: the number of a goroutine is needed." % which)
            g = runtime.one(int(which.split(".")[0]))
            if not g.alive():
                raise gdb.GdbError("There is no goroutine %s." % which)
            show(runtime, g, command)
            return
        for g in list(runtime.all()):
            gdb.write("\ngoroutine " + g.line().rstrip() + "\n")
            try:
                show(runtime, g, command)
            except (gdb.GdbError, gdb.MemoryError) as e:
                gdb.write("%s\n" % e)


InfoGoroutines()
GoroutineCommand()
