# SPDX-License-Identifier: MIT
# `make help` lists the targets. Variables:
#   O=DIR            where to build (default build); one directory per variant
#   CC=clang         the compiler        SAN=address,undefined   sanitizers, static library only
#   SIM=1            the simulated ring: static library and tests/sim only
#   W=error          warnings are errors (also with CI=true)
#   V=1              print the commands

O          ?= build
prefix     ?= /usr/local
libdir     ?= $(prefix)/lib
includedir ?= $(prefix)/include
bindir     ?= $(prefix)/bin
sbindir    ?= $(prefix)/sbin
gdbdir     ?= $(prefix)/share/gdb/auto-load
unitdir    ?= $(prefix)/lib/systemd/system
sharedir   ?= $(prefix)/share/ringo
CFLAGS     ?= -O2 -g
PKG_CONFIG ?= pkg-config

VERSION   := 0.1.0
SOVERSION := 0
KSELFTEST := build/kselftest

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := $(if $(findstring clang,$(CC)),clang++,g++)
endif
ifneq ($(V),1)
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif

all: lib examples tools

# ---- flags -------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
ifneq ($(filter true,$(CI))$(filter error,$(W)),)
WARNINGS += -Werror
endif

SANITIZE := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)

base_flags = -std=gnu11 $(WARNINGS) $(CFLAGS) -fasynchronous-unwind-tables $(SANITIZE) \
	     -Ilib/include $(CPPFLAGS) -MMD -MP
# Inside the tree: "core/g.h", "kmod/uapi/ringo.h", and the whole of glibc. The empty value of
# _GNU_SOURCE agrees with files that define it themselves.
tree_flags = $(base_flags) -Ilib -iquote . -D_GNU_SOURCE= $(if $(SIM),-DRINGO_SIM)
lib_flags  = $(tree_flags) -fPIC -fvisibility=hidden
# Tests of kselftest_harness.h are global functions whose parameters are not all used.
test_flags = $(tree_flags) -Wno-missing-prototypes -Wno-unused-parameter -Itests -isystem $(KSELFTEST)
cxx_flags  = $(filter-out -std=gnu11 -Wstrict-prototypes -Wmissing-prototypes,$(base_flags)) -std=c++17
libs       = -luring -lpthread

LDLIBS_httpd = -lhttp_parser
LDLIBS_held = -lstdc++
LDLIBS_httpd_fuzz = -lhttp_parser
LDLIBS_pool_exhausted = -lpq
LDLIBS_safety_exceptions = -lstdc++
LDLIBS_safety_registers = -lm
LDLIBS_registers = -lm -Wl,--wrap=rg_upcall
LDLIBS_safety_static = $(if $(SAN),,-static)

# The programs of bpf/ and their loader are built where there is all they need (make deps-check).
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
have_bpf := $(shell clang --version >/dev/null 2>&1 && $(BPFTOOL) version >/dev/null 2>&1 && \
	      $(PKG_CONFIG) --exists libbpf && echo yes)
# The tools that look at processes need libdw, and the one with a screen ncurses.
have_dw := $(shell $(PKG_CONFIG) --exists libdw && echo yes)
have_curses := $(shell $(PKG_CONFIG) --exists ncurses && echo yes)
LDLIBS_ringo-top = $(shell $(PKG_CONFIG) --libs ncurses)
LDLIBS_ringo-prof = -lbpf
LDLIBS_ringo-trace = $(if $(have_bpf),-lbpf)
bpf_flags := -std=gnu11 -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Wextra \
	     -Wno-unused-parameter -iquote . -idirafter /usr/include/$(shell gcc -print-multiarch)
# Tools are no part of what is tested with sanitizers.
tool_flags = -std=gnu11 $(WARNINGS) $(CFLAGS) -iquote . -Ilib/include -I$(O)/bpf -D_GNU_SOURCE= $(CPPFLAGS) -MMD -MP

# ---- what there is -----------------------------------------------------------------------------

lib_src := $(wildcard $(foreach dir,base arch core ring sync io observe,lib/$(dir)/*.c)) \
	   $(wildcard lib/arch/*.S)
ifeq ($(SIM),)
lib_src := $(filter-out lib/ring/sim.c lib/ring/sim_fds.c lib/arch/sim.c,$(lib_src))
test_dirs := unit run stress tier bpf kmod tools
example_src := $(wildcard docs/examples/*.c docs/examples/*/*.c)
# The one that needs PostgreSQL is built where libpq is (make deps-check).
ifneq ($(shell $(PKG_CONFIG) --exists libpq && echo yes),yes)
example_src := $(filter-out %/pool_exhausted.c,$(example_src))
endif
else
test_dirs := sim
endif
test_src    := $(wildcard $(foreach dir,$(test_dirs),tests/$(dir)/*.c))

lib_obj  := $(patsubst %,$(O)/obj/%.o,$(basename $(lib_src)))
tests    := $(patsubst %.c,$(O)/%,$(test_src))
examples := $(patsubst docs/%.c,$(O)/%,$(example_src))
# The safety suite, with goroutines that are switched on the spot instead of revoked: see tests/spot.
spot     := $(if $(SAN)$(SIM),,$(patsubst tests/run/%.c,$(O)/tests/spot/%,$(wildcard tests/run/safety_*.c)))
fuzzers  := $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/*.c))
# Those that one tool loads each; the others are ringo-bpfd's.
tool_bpf := bpf/gtrace.bpf.c bpf/goroutines.bpf.c bpf/ktrace.bpf.c
tool_skel := $(tool_bpf:%.bpf.c=$(O)/%.skel.h)
# Definitions before their use: bpftool's linker of Debian 12 loses track otherwise.
bpf_obj  := $(patsubst %.c,$(O)/%.o,bpf/ms.bpf.c \
	    $(filter-out bpf/ms.bpf.c $(tool_bpf),$(wildcard bpf/*.bpf.c)))
bpfd_obj := $(patsubst %.c,$(O)/obj/%.o,$(wildcard tools/ringo-bpfd/*.c))
observe_obj := $(patsubst %.c,$(O)/obj/%.o,$(wildcard tools/observe/*.c))
observers   := $(if $(filter yes-,$(have_dw)-$(SIM)),$(addprefix $(O)/tools/,ringo-ps ringo-doctor ringo-trace \
	       $(if $(have_curses),ringo-top) $(if $(have_bpf),ringo-prof)))
observers_obj := $(patsubst %.c,$(O)/obj/%.o,$(wildcard $(patsubst $(O)/%,%/*.c,$(observers))))
# What the library and ringo-trace have in common.
recorder_obj := $(patsubst %,$(O)/obj/tools/shared/%.o,$(addprefix lib/observe/,chrome gather json lines recorder))
bpfd     := $(if $(filter yes-,$(have_bpf)-$(SIM)),$(O)/tools/ringo-bpfd)

archive := $(O)/libringo.a
shared  := $(O)/libringo.so.$(VERSION)

lib: $(archive) $(if $(SAN)$(SIM),,$(shared))
tests: lib tools $(tests) $(spot)
examples: lib $(examples)
fuzzers: $(fuzzers)
tools: $(bpfd) $(observers)

# ---- rules -------------------------------------------------------------------------------------

# Objects are rebuilt when the command line that builds them has changed.
flags := $(CC) $(lib_flags) $(test_flags) $(if $(have_bpf),BPF)
$(O)/flags: force
	$(Q)mkdir -p $(@D); echo '$(flags)' | cmp -s - $@ || echo '$(flags)' >$@

$(O)/obj/lib/%.o: lib/%.c $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(lib_flags) -c -o $@ $<

$(O)/obj/lib/%.o: lib/%.S $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,AS,$<) $(CC) $(lib_flags) -c -o $@ $<

$(O)/obj/tests/%.o: tests/%.cc $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,CXX,$<) $(CXX) $(cxx_flags) -c -o $@ $<

$(O)/obj/tests/%.o: tests/%.c $(O)/flags | $(KSELFTEST)/kselftest_harness.h
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(test_flags) -c -o $@ $<

# Examples see what a user sees: the installed headers and no feature macro.
$(O)/obj/docs/%.o: docs/%.c $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(base_flags) -c -o $@ $<

$(archive): $(lib_obj)
	$(call say,AR,$@) rm -f $@; $(AR) rcs $@ $^

$(shared): $(lib_obj) lib/libringo.map
	$(call say,LD,$@) $(CC) $(CFLAGS) -shared -Wl,-soname,libringo.so.$(SOVERSION) \
		-Wl,--version-script=lib/libringo.map -Wl,-z,relro,-z,now,-z,defs \
		$(LDFLAGS) -o $@ $(lib_obj) $(libs)
	$(Q)ln -sf $(@F) $(O)/libringo.so.$(SOVERSION)
	$(Q)ln -sf libringo.so.$(SOVERSION) $(O)/libringo.so

program = $(call say,LD,$@) $(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $(filter %.o,$^) $(archive) \
	  $(LDLIBS_$(@F)) $(libs)

$(O)/tests/%: $(O)/obj/tests/%.o $(archive)
	$(Q)mkdir -p $(@D)
	$(program)

$(O)/tests/run/held: $(O)/obj/tests/run/held_cxx.o

$(O)/tests/run/safety_exceptions $(O)/tests/spot/safety_exceptions: $(O)/obj/tests/run/safety_throw.o

$(O)/tests/spot/%: $(O)/obj/tests/run/%.o $(O)/obj/tests/spot/on_the_spot.o $(archive)
	$(Q)mkdir -p $(@D)
	$(program)

$(O)/examples/%: $(O)/obj/docs/examples/%.o $(archive)
	$(Q)mkdir -p $(@D)
	$(program)

# libFuzzer comes with clang only; what is fuzzed stands in headers, without the library.
$(O)/tests/fuzz/%: tests/fuzz/%.c $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,FUZZ,$@) clang -std=gnu11 $(WARNINGS) -g -O1 \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-D_GNU_SOURCE= -iquote . -iquote lib -Ilib/include -Idocs/examples -MMD -MP -o $@ $< $(LDLIBS_$(@F))

$(O)/bpf/%.bpf.o: bpf/%.bpf.c
	$(Q)mkdir -p $(@D)
	$(call say,BPF,$<) clang $(bpf_flags) -MMD -MP -c -o $@ $<

$(O)/bpf/bpfd.skel.h: $(bpf_obj)
	$(call say,GEN,$@) $(BPFTOOL) gen object $(O)/bpf/bpfd.o $^
	$(Q)$(BPFTOOL) gen skeleton $(O)/bpf/bpfd.o name bpfd >$@.new && mv $@.new $@

$(tool_skel): $(O)/bpf/%.skel.h: $(O)/bpf/%.bpf.o
	$(call say,GEN,$@) $(BPFTOOL) gen skeleton $< name $* >$@.new && mv $@.new $@

# What system calls and operations of io_uring are called, as arrays.
$(O)/bpf/names.h: $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,GEN,$@) { echo 'static const char *const syscall_names[] = {'; \
		echo '#include <asm/unistd.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/	[\2] = "\1",/p'; echo '};'; \
		echo 'static const char *const operation_names[] = {'; \
		echo '#include <liburing.h>' | $(CC) -D_GNU_SOURCE -E - | \
		sed -n 's/^[ 	]*IORING_OP_\([A-Z0-9_]*\),$$/	"\L\1",/p'; echo '};'; } >$@

$(O)/obj/tools/ringo-prof/%.o: tools/ringo-prof/%.c $(O)/flags | $(tool_skel) $(O)/bpf/names.h
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(tool_flags) -c -o $@ $<

$(O)/obj/tools/ringo-bpfd/%.o: tools/ringo-bpfd/%.c $(O)/flags | $(O)/bpf/bpfd.skel.h
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(tool_flags) -c -o $@ $<

$(O)/tools/ringo-bpfd: $(bpfd_obj)
	$(Q)mkdir -p $(@D)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lbpf

$(O)/obj/tools/%.o: tools/%.c $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(tool_flags) -c -o $@ $<

$(O)/obj/tools/ringo-trace/%.o: tool_flags += -Ilib $(if $(have_bpf),-DRINGO_HAVE_BPF)
ifneq ($(have_bpf),)
$(O)/obj/tools/ringo-trace/kernel.o: | $(O)/bpf/ktrace.skel.h $(O)/bpf/names.h
endif
$(O)/obj/tools/shared/%.o: %.c $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(tool_flags) -Ilib -c -o $@ $<

$(O)/tools/ringo-trace: $(recorder_obj)

# A part of ringo-trace that takes libbpf.
without := $(if $(have_bpf),,tools/ringo-trace/kernel.c)

.SECONDEXPANSION:
$(O)/tools/ringo-ps $(O)/tools/ringo-doctor $(O)/tools/ringo-top $(O)/tools/ringo-trace $(O)/tools/ringo-prof: $(observe_obj) \
		$$(patsubst %.c,$(O)/obj/%.o,$$(filter-out $$(without),$$(wildcard tools/$$(@F)/*.c)))
	$(Q)mkdir -p $(@D)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldw -lpthread $(LDLIBS_$(@F))

$(KSELFTEST)/kselftest_harness.h:
	$(call say,FETCH,$@) tests/deps.sh kselftest $(@D)

-include $(lib_obj:.o=.d) $(test_src:%.c=$(O)/obj/%.d) $(example_src:%.c=$(O)/obj/%.d) \
	 $(fuzzers:=.d) $(O)/obj/tests/spot/on_the_spot.d $(O)/obj/tests/run/safety_throw.d \
	 $(O)/obj/tests/run/held_cxx.d \
	 $(bpf_obj:.o=.d) $(tool_bpf:%.c=$(O)/%.d) $(bpfd_obj:.o=.d) $(observe_obj:.o=.d) $(observers_obj:.o=.d) \
	 $(recorder_obj:.o=.d)

# ---- dependencies, demo, tests -----------------------------------------------------------------

deps:
	$(Q)tests/deps.sh demo

deps-check:
	$(Q)tests/deps.sh check

deps-bench: deps
	$(Q)tools/bench/deps.sh

demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)O=$(abspath $(O)) docs/examples/demo.sh

bench: all
	$(Q)$(MAKE) --no-print-directory -C tools/bench run

check: deps-check
	$(Q)tests/check.sh

check-long: deps-check
	$(Q)tests/check-long.sh

check-vm: deps-check
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)O=$(O) tests/vm/check.sh

lint:
	$(Q)find tests/lint -name '*.sh' ! -name common.sh | sort | sed 's,^,lint - ,' | \
		tests/run_tests.sh

# ---- install -----------------------------------------------------------------------------------

install: lib tools
	install -d $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)/ringo
	install -m 644 lib/include/ringo.h $(DESTDIR)$(includedir)
	install -m 644 lib/include/ringo/*.h $(DESTDIR)$(includedir)/ringo
	install -m 644 $(archive) $(DESTDIR)$(libdir)
	install -m 755 $(shared) $(DESTDIR)$(libdir)
	ln -sf libringo.so.$(VERSION) $(DESTDIR)$(libdir)/libringo.so.$(SOVERSION)
	ln -sf libringo.so.$(SOVERSION) $(DESTDIR)$(libdir)/libringo.so
	sed -e 's,@prefix@,$(prefix),' -e 's,@libdir@,$(libdir),' \
	    -e 's,@includedir@,$(includedir),' -e 's,@version@,$(VERSION),' \
	    lib/ringo.pc.in >$(DESTDIR)$(libdir)/pkgconfig/ringo.pc
	install -d $(DESTDIR)$(gdbdir)$(libdir)
	install -m 644 tools/gdb/ringo-gdb.py $(DESTDIR)$(gdbdir)$(libdir)/$(notdir $(shared))-gdb.py
	install -d $(DESTDIR)$(sharedir)
	install -m 644 tools/bt/*.bt tools/perf/ringo.py $(DESTDIR)$(sharedir)
ifneq ($(bpfd),)
	install -d $(DESTDIR)$(sbindir) $(DESTDIR)$(unitdir)
	install -m 755 $(bpfd) $(DESTDIR)$(sbindir)
	install -m 644 tools/ringo-bpfd/ringo-bpfd.socket $(DESTDIR)$(unitdir)
	sed -e 's,@sbindir@,$(sbindir),' tools/ringo-bpfd/ringo-bpfd.service.in \
		>$(DESTDIR)$(unitdir)/ringo-bpfd.service
endif

ifneq ($(observers),)
	install -d $(DESTDIR)$(bindir)
	install -m 755 $(observers) $(DESTDIR)$(bindir)
endif

uninstall:
	rm -f $(DESTDIR)$(libdir)/libringo.a $(DESTDIR)$(libdir)/libringo.so* \
		$(DESTDIR)$(libdir)/pkgconfig/ringo.pc $(DESTDIR)$(includedir)/ringo.h \
		$(DESTDIR)$(sbindir)/ringo-bpfd $(DESTDIR)$(unitdir)/ringo-bpfd.* \
		$(addprefix $(DESTDIR)$(bindir)/,ringo-ps ringo-doctor ringo-top ringo-trace ringo-prof) \
		$(DESTDIR)$(gdbdir)$(libdir)/libringo.so*-gdb.py
	rm -rf $(DESTDIR)$(includedir)/ringo $(DESTDIR)$(sharedir)

# The harness stays: fetching it again takes a download of 140 MB.
clean:
	$(Q)[ ! -d $(O) ] || find $(O) -mindepth 1 -maxdepth 1 ! -name kselftest -exec rm -rf {} +

help:
	@echo 'make              the library, the examples, the tools, ringo-bpfd where libbpf is'
	@echo 'make deps         install from Debian what building and the demo need'
	@echo 'make demo         install, build, and show the HTTP server at work'
	@echo 'make check        install, build all variants and run all tests (at most 20 minutes)'
	@echo 'make check-long   stress, many seeds; leaves a summary in docs/results'
	@echo 'make check-vm     a part of that on kernels of Debian, in virtual machines (KERNELS=6.1 for one)'
	@echo 'make lint         the checks of tests/lint alone'
	@echo 'make bench        compare with the peers (make deps-bench installs them)'
	@echo 'make install      DESTDIR, prefix, libdir, includedir; also uninstall'
	@echo 'make clean'
	@echo
	@sed -n 's/^#   //p' Makefile

force:
.SECONDARY:
.PHONY: all lib tests examples fuzzers tools deps deps-check deps-bench demo bench check check-vm check-long lint \
	install uninstall clean help force
