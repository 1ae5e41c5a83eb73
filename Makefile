# tether: RDMA connections that outlive a virtual machine's move.
#
#   make help        the targets
#   make B=DIR ...   build somewhere else than ./build (every product goes there)
#
# Each folder states what it builds in its rules.mk, with the four rules defined below: program, library,
# unit_test and fuzzer.

B ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
FUZZ_CC ?= clang
Q := $(if $(V),,@)
say = @printf '  %-8s %s\n' $(1) $(patsubst $(B)/%,%,$@)

PREFIX ?= /usr
LIBDIR ?= $(PREFIX)/lib/x86_64-linux-gnu
DESTDIR ?=

OPT ?= -O2
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-unused-parameter
CPPFLAGS += -D_GNU_SOURCE -I. -I$(B)/gen -Itests
CFLAGS += -std=gnu11 -g $(OPT) $(WARN) $(if $(WERROR),-Werror) -fPIC -fno-omit-frame-pointer -fvisibility=hidden
LDFLAGS += -Wl,-z,relro,-z,now

# SANITIZE=address,undefined or SANITIZE=thread builds everything that way; give such a build a B of its own.
ifneq ($(SANITIZE),)
CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -DTETHER_SANITIZE
LDFLAGS += -fsanitize=$(SANITIZE)
ifeq ($(SANITIZE),thread)
CPPFLAGS += -DTETHER_TSAN
endif
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help deps demo demo-mpi check-unit check check-full check-spin check-vm check-vm-full check-asan check-tsan check-valgrind lint format-check format bench bench-start \
	fuzz install clean

# ---- what rules.mk files say -------------------------------------------------------------------------------------

BUILT_PROGRAMS :=
LIBRARIES :=
UNIT_TESTS :=
FUZZERS :=
SOURCES :=
obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

# $(call program,NAME,SOURCES,LIBS[,LDFLAGS])
define program_rule
SOURCES += $(2)
BUILT_PROGRAMS += $(B)/bin/$(1)
$(B)/bin/$(1): $(call obj,$(2))
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) $(4) -o $$@ $$(filter %.o,$$^) $(3)
endef
program = $(eval $(call program_rule,$(1),$(strip $(2)),$(3),$(4)))

# $(call library,NAME.so,SOURCES,LIBS[,LDFLAGS])
define library_rule
SOURCES += $(2)
LIBRARIES += $(B)/lib/$(1)
$(B)/lib/$(1): $(call obj,$(2))
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -shared -Wl,-soname,$(1) $(4) -o $$@ $$(filter %.o,$$^) $(3)
endef
library = $(eval $(call library_rule,$(1),$(strip $(2)),$(3),$(4)))

# $(call unit_test,NAME,SOURCES,LIBS): a cmocka program in tests/unit/NAME.c and the rooms that it tests
define unit_test_rule
SOURCES += tests/unit/$(1).c
UNIT_TESTS += $(B)/unit/$(1)
$(B)/unit/$(1): $(call obj,tests/unit/$(1).c $(2))
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -lcmocka $(3)
endef
unit_test = $(eval $(call unit_test_rule,$(1),$(strip $(2)),$(3)))

# $(call fuzzer,NAME,SOURCES,LIBS): tests/fuzz/NAME.c with LLVMFuzzerTestOneInput, corpus in tests/fuzz/NAME.corpus. Without
# libFuzzer the same is a unit test, fuzz_NAME: the corpus and so many changes of it, the same each time.
define fuzzer_rule
SOURCES += tests/fuzz/$(1).c
UNIT_TESTS += $(B)/unit/fuzz_$(1)
$(B)/unit/fuzz_$(1): $(call obj,tests/fuzz/$(1).c tests/fuzz/replay.c $(patsubst $(B)/gen/%,gen/%,$(2)))
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(3)
FUZZERS += $(B)/fuzz/$(1)
$(B)/fuzz/$(1): tests/fuzz/$(1).c $(2) $(B)/deps.stamp $(B)/deps-extra.stamp $(B)/gen/tether.pb-c.h
	$$(call say,FUZZ)
	@mkdir -p $$(@D)
	$$(Q)$(FUZZ_CC) $$(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -o $$@ $$(filter %.c,$$^) $(3)
endef
fuzzer = $(eval $(call fuzzer_rule,$(1),$(strip $(2)),$(3)))

include $(wildcard */rules.mk tests/*/rules.mk)

# ---- building ----------------------------------------------------------------------------------------------------

all: $(BUILT_PROGRAMS) $(LIBRARIES)

# Per-folder flags: CFLAGS_preload and the like, from the folder's rules.mk.
$(B)/obj/%.o: %.c | $(B)/deps.stamp $(B)/gen/tether.pb-c.h
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_$(firstword $(subst /, ,$*))) -MMD -MP -c -o $@ $<

$(B)/obj/gen/%.o: $(B)/gen/%.c | $(B)/deps.stamp
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# ---- set-up ------------------------------------------------------------------------------------------------------

deps: $(B)/deps.stamp
# Only what the checks below need beyond building and testing.
$(B)/deps-extra.stamp: .ci/packages-extra
# One apt-get at a time.
$(B)/deps-vm.stamp: .ci/packages-vm | $(B)/deps.stamp
$(B)/deps.stamp: .ci/packages
$(B)/deps.stamp $(B)/deps-extra.stamp $(B)/deps-vm.stamp: .ci/deps
	@mkdir -p $(B)
	$(Q).ci/deps .ci/$(@F:deps%.stamp=packages%)
	@touch $@

# ---- checks ------------------------------------------------------------------------------------------------------

# Programs side by side; each prints TAP, the runner adds up and ends with "N passed, N failed". Long ones are begun first, so
# that none is left over when the others have ended.
RUN_TESTS = tests/run_tests --build $(B)
LONG_TESTS := tests/model/check_model_test.py $(patsubst %,tests/faults/%_migration_test.py,options perftest middleware datagram xrc rc_verify) \
	tests/simfabric/verbs_perftest_test.py tests/faults/churn_test.py tests/faults/kill_test.py tests/faults/sweep_test.py
SHORT_TESTS := $(filter-out $(LONG_TESTS) tests/sanitized/% tests/vm/%,$(sort $(wildcard tests/*/*_test.py tests/*/*_test.sh)))
INTEGRATION_TESTS := $(LONG_TESTS) $(SHORT_TESTS)

check-unit: $(UNIT_TESTS)
	$(Q)$(RUN_TESTS) $(UNIT_TESTS)

check: all $(UNIT_TESTS)
	$(Q)$(RUN_TESTS) $(UNIT_TESTS) $(INTEGRATION_TESTS)

check-full: all $(UNIT_TESTS)
	$(Q)TETHER_FULL=1 $(RUN_TESTS) $(UNIT_TESTS) $(INTEGRATION_TESTS)

check-spin: $(B)/deps.stamp
	$(Q)TETHER_FULL=1 $(RUN_TESTS) tests/model/protocol_test.py

# QEMU guests: a test keeps both processors busy by itself.
VM_TESTS := $(sort $(wildcard tests/vm/*_test.py))
$(B)/vm/ready: all $(B)/deps-vm.stamp
	$(Q)tests/vm/prepare $(B)
.PHONY: $(B)/vm/ready

check-vm: $(B)/vm/ready
	$(Q)$(RUN_TESTS) --lanes 1 $(VM_TESTS)

check-vm-full: $(B)/vm/ready
	$(Q)TETHER_FULL=1 $(RUN_TESTS) --lanes 1 $(VM_TESTS)

# A report ends the program that it is about, so that its test fails.
DAEMON_TESTS := tests/sanitized/migration_test.py tests/net/agent_test.py tests/net/agent_orders_test.py tests/net/agents_test.py tests/net/guest_test.py
SANITIZED_TESTS := $(sort $(wildcard tests/sanitized/*_test.py) $(DAEMON_TESTS)) tests/bench/signalling_test.py tests/faults/smd_roads_hosts_test.py tests/faults/notices_test.py \
	tests/faults/smd_roads_sm_test.py tests/simfabric/raw_losses_test.py tests/net/tls_test.py tests/faults/tls_migration_test.py \
	tests/net/cert_test.py tests/net/hostile_guest_test.py tests/net/hostile_host_test.py

check-asan:
	$(Q)$(MAKE) --no-print-directory B=$(B)/asan SANITIZE=address,undefined OPT=-O1 check-sanitized
check-tsan:
	$(Q)$(MAKE) --no-print-directory B=$(B)/tsan SANITIZE=thread OPT=-O1 check-sanitized
.PHONY: check-sanitized
check-sanitized: all $(UNIT_TESTS)
	$(Q)TETHER_SANITIZE=$(SANITIZE) TSAN_OPTIONS=halt_on_error=1 $(RUN_TESTS) $(UNIT_TESTS) $(SANITIZED_TESTS)

check-valgrind: all $(B)/deps-extra.stamp
	$(Q)TETHER_VALGRIND=1 $(RUN_TESTS) $(DAEMON_TESTS)

# The code is generated first: the linters read its headers.
lint: $(B)/deps-extra.stamp $(B)/gen/tether.pb-c.h
	$(Q).ci/lint $(B)

format-check: $(B)/deps-extra.stamp
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror

format: $(B)/deps-extra.stamp
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

fuzz: $(FUZZERS)
	@mkdir -p $(B)/log
	$(Q)tests/fuzz/run_fuzzers $(B) $(FUZZ_SECONDS)

demo: all
	$(Q)demo-apps/demo $(B)

demo-mpi: all
	$(Q)demo-apps/demo_mpi --build $(B) $(DEMO_MPI)

bench: all
	$(Q)tests/bench/run_bench --build $(B) $(BENCH)

bench-start: $(B)/lib/libtether.so
	$(Q)tests/bench/run_bench_start --build $(B) $(BENCH)

# ---- installing --------------------------------------------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(LIBDIR)/tether
	install -m 755 $(filter %/tether,$(BUILT_PROGRAMS)) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(filter %/tether-agent %/tether-fabric %/tether-smd,$(BUILT_PROGRAMS)) $(DESTDIR)$(PREFIX)/sbin
	install -m 644 $(filter %/libtether.so,$(LIBRARIES)) $(DESTDIR)$(LIBDIR)/tether
	install -m 644 $(filter %/libosmtether.so,$(LIBRARIES)) $(DESTDIR)$(LIBDIR)
	install -m 755 sm-side/orchestrators/libvirt_hook.py $(DESTDIR)$(LIBDIR)/tether/libvirt-hook
	for p in $(wildcard */*.1 */*.5 */*.7 */*.8); do \
		install -D -m 644 $$p $(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$${p##*/}; done
	install -d $(DESTDIR)$(PREFIX)/share/doc/tether $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 $(wildcard */*.conf sm-side/orchestrators/*.conf) $(DESTDIR)$(PREFIX)/share/doc/tether
	for u in $(wildcard */*.service); do \
		sed 's,/usr/sbin/,$(PREFIX)/sbin/,' $$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; done

clean:
	rm -rf $(B)

help:
	@echo 'make            build everything into ./build (B=DIR: elsewhere)'
	@echo 'make demo       a VM moves under load, four times and more; needs nothing but Debian 12'
	@echo 'make demo-mpi   MPI jobs whose VMs move at random; DEMO_MPI="--seed N"'
	@echo 'make check      unit tests and whole systems, small counts; check-unit: unit tests alone'
	@echo 'make check-full the same with large counts (TETHER_FULL=1)'
	@echo 'make check-vm   programs in QEMU guests, over the verbs of the kernel (rdma_rxe); check-vm-full: large counts'
	@echo 'make check-spin the protocol as a model: all that spin can reach, and what fails without each of its parts'
	@echo 'make check-model  random programs with migrations against a reference model; PROGRAMS=N SEED=S'
	@echo 'make check-asan, check-tsan   unit tests, daemons, plugin and rc-verify, built with a sanitizer'
	@echo 'make check-valgrind           tether-smd and the agents under valgrind'
	@echo 'make fuzz       what reads bytes from others; FUZZ_SECONDS=N for each'
	@echo 'make lint, format-check       cppcheck, clang-tidy, pyflakes; clang-format (format: apply it)'
	@echo 'make deps       install the Debian packages that are missing (asks for root only then)'
	@echo 'make bench      measurements on the simulated fabric; one JSON object on the last line; BENCH="--pairs N --moves N"'
	@echo 'make bench-start  what libtether.so adds to the start of a program; BENCH="--pairs N"'
	@echo 'make bench-path   instructions that a message costs with libtether.so; BENCH="--messages N --keep DIR"'
	@echo 'make bench-plan  instructions that planning a move takes for each switch; BENCH="--sizes N,... --functions N,..."'
	@echo 'make bench-reconfigure  moves against recomputations on the fat-trees of Table I; SIZES=324,648; BENCH="--help"'
	@echo 'make bench-evacuate  a hypervisor with 16 VMs evacuated by one plan in each order, and by 16; SIZES="324 6,4,4"; BENCH="--seed N"'
	@echo 'make bench-signalling  one event to 1,000 tether-agents with 16 VMs each, told once a server, and to each VM; BENCH="--servers N --vms N"'
	@echo 'make bench-hostile  what messages of hostile guests and hosts cost, and how long honest VMs wait meanwhile; BENCH="--messages N --rounds N"'
	@echo 'make bench-vm   real migrations of a QEMU guest: QEMU'"'"'s part, tether'"'"'s, and what a plain program needs to begin anew; BENCH="--moves N --qps N"'
	@echo 'make bench-smp  LFT Sets by raw SMPs against equations 4 and 5 of the vSwitch paper; SIZES=324,648; BENCH="--help"'
	@echo 'make surface-table  write the table of what is wrapped into preload/DESIGN.md'
	@echo 'make install    PREFIX=/usr DESTDIR='
	@echo 'make V=1 ...    show the commands; WERROR=1: warnings are errors; CC=clang; SANITIZE=address,undefined'
