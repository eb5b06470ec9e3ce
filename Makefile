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
CFLAGS     ?= -O2 -g
PKG_CONFIG ?= pkg-config

VERSION   := 0.1.0
SOVERSION := 0
KSELFTEST := build/kselftest

ifeq ($(origin CC),default)
CC := gcc
endif
ifneq ($(V),1)
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif

all: lib examples

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
libs       = -luring -lpthread

LDLIBS_httpd = -lhttp_parser
LDLIBS_httpd_fuzz = -lhttp_parser

# ---- what there is -----------------------------------------------------------------------------

lib_src := $(wildcard $(foreach dir,base arch core ring sync io observe,lib/$(dir)/*.c)) \
	   $(wildcard lib/arch/*.S)
ifeq ($(SIM),)
lib_src := $(filter-out lib/ring/sim.c lib/arch/sim.c,$(lib_src))
test_dirs := unit run stress
example_src := $(wildcard docs/examples/*.c)
else
test_dirs := sim
endif
test_src    := $(wildcard $(foreach dir,$(test_dirs),tests/$(dir)/*.c))

lib_obj  := $(patsubst %,$(O)/obj/%.o,$(basename $(lib_src)))
tests    := $(patsubst %.c,$(O)/%,$(test_src))
examples := $(patsubst docs/%.c,$(O)/%,$(example_src))
fuzzers  := $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/*.c))

archive := $(O)/libringo.a
shared  := $(O)/libringo.so.$(VERSION)

lib: $(archive) $(if $(SAN)$(SIM),,$(shared))
tests: lib $(tests)
examples: lib $(examples)
fuzzers: $(fuzzers)

# ---- rules -------------------------------------------------------------------------------------

# Objects are rebuilt when the command line that builds them has changed.
flags := $(CC) $(lib_flags) $(test_flags)
$(O)/flags: force
	$(Q)mkdir -p $(@D); echo '$(flags)' | cmp -s - $@ || echo '$(flags)' >$@

$(O)/obj/lib/%.o: lib/%.c $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(lib_flags) -c -o $@ $<

$(O)/obj/lib/%.o: lib/%.S $(O)/flags
	$(Q)mkdir -p $(@D)
	$(call say,AS,$<) $(CC) $(lib_flags) -c -o $@ $<

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

program = $(call say,LD,$@) $(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $< $(archive) \
	  $(LDLIBS_$(@F)) $(libs)

$(O)/tests/%: $(O)/obj/tests/%.o $(archive)
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
		-D_GNU_SOURCE= -Ilib/include -Idocs/examples -MMD -MP -o $@ $< $(LDLIBS_$(@F))

$(KSELFTEST)/kselftest_harness.h:
	$(call say,FETCH,$@) tests/deps.sh kselftest $(@D)

-include $(lib_obj:.o=.d) $(test_src:%.c=$(O)/obj/%.d) $(example_src:%.c=$(O)/obj/%.d) \
	 $(fuzzers:=.d)

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

lint:
	$(Q)find tests/lint -name '*.sh' ! -name common.sh | sort | sed 's,^,lint - ,' | \
		tests/run_tests.sh

# ---- install -----------------------------------------------------------------------------------

install: lib
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

uninstall:
	rm -f $(DESTDIR)$(libdir)/libringo.a $(DESTDIR)$(libdir)/libringo.so* \
		$(DESTDIR)$(libdir)/pkgconfig/ringo.pc $(DESTDIR)$(includedir)/ringo.h
	rm -rf $(DESTDIR)$(includedir)/ringo

# The harness stays: fetching it again takes a download of 140 MB.
clean:
	$(Q)[ ! -d $(O) ] || find $(O) -mindepth 1 -maxdepth 1 ! -name kselftest -exec rm -rf {} +

help:
	@echo 'make              the library and the examples'
	@echo 'make deps         install from Debian what building and the demo need'
	@echo 'make demo         install, build, and show the HTTP server at work'
	@echo 'make check        install, build all variants and run all tests (at most 20 minutes)'
	@echo 'make check-long   stress, many seeds; leaves a summary in docs/results'
	@echo 'make lint         the checks of tests/lint alone'
	@echo 'make bench        compare with the peers (make deps-bench installs them)'
	@echo 'make install      DESTDIR, prefix, libdir, includedir; also uninstall'
	@echo 'make clean'
	@echo
	@sed -n 's/^#   //p' Makefile

force:
.SECONDARY:
.PHONY: all lib tests examples fuzzers deps deps-check deps-bench demo bench check check-long lint \
	install uninstall clean help force
