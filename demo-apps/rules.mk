# demo-apps: what a newcomer runs first.

# What rc-verify, ud-verify and window-verify share.
VERIFY_CHECKERS := $(addprefix demo-apps/verify/,message.c sequence_check.c pauses.c)
VERIFY_SOURCES := $(addprefix demo-apps/verify/,device.c process.c rendezvous.c)

RC_VERIFY_CHECKERS := $(VERIFY_CHECKERS) $(addprefix demo-apps/rc_verify/,slot_ring.c add_ledger.c workload.c send_queue.c \
	receive_book.c)
$(call program,rc-verify,$(RC_VERIFY_CHECKERS) $(VERIFY_SOURCES) $(addprefix demo-apps/rc_verify/,main.c options.c endpoint.c \
	completions.c lane.c xrc_half.c requester.c receiver.c partner.c set_up.c run.c report.c self_test.c),-libverbs)

$(call unit_test,demo_sequence_check,$(RC_VERIFY_CHECKERS),)
$(call unit_test,demo_receive_book,$(RC_VERIFY_CHECKERS),)
$(call unit_test,demo_slot_ring,$(RC_VERIFY_CHECKERS),)
$(call unit_test,demo_requester_checks,$(RC_VERIFY_CHECKERS),)

UD_VERIFY_CHECKERS := $(VERIFY_CHECKERS) demo-apps/ud_verify/stream.c
$(call program,ud-verify,$(UD_VERIFY_CHECKERS) $(VERIFY_SOURCES) $(addprefix demo-apps/ud_verify/,main.c options.c end.c run.c),\
	-libverbs)

$(call unit_test,demo_ud_stream,$(UD_VERIFY_CHECKERS),)

# The same source against each MPI, by its own compiler wrapper.
MPI_VERIFY_CHECKERS := $(addprefix demo-apps/mpi_verify/,content.c sizes.c arrivals.c sums.c)
MPI_VERIFY_SOURCES := $(MPI_VERIFY_CHECKERS) $(addprefix demo-apps/mpi_verify/,main.c options.c job.c rounds.c stall.c \
	report.c self_test.c messages.c point_to_point.c outstanding.c wildcards.c datatypes.c blocks.c collective.c \
	collectives.c reductions.c window.c one_sided.c atomics.c)
# $(call mpi_verify,openmpi|mpich,FLAGS)
define mpi_verify_rule
BUILT_PROGRAMS += $(B)/bin/mpi-verify-$(1)
$(B)/bin/mpi-verify-$(1): $(patsubst %.c,$(B)/obj/$(1)/%.o,$(MPI_VERIFY_SOURCES))
	$$(call say,LINK)
	@mkdir -p $$(@D)
	$$(Q)mpicc.$(1) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^)
$(B)/obj/$(1)/%.o: %.c | $(B)/deps.stamp
	$$(call say,CC)
	@mkdir -p $$(@D)
	$$(Q)mpicc.$(1) $$(CPPFLAGS) $$(CFLAGS) $(2) -MMD -MP -c -o $$@ $$<
endef
mpi_verify = $(eval $(call mpi_verify_rule,$(1),$(2)))
$(call mpi_verify,openmpi)
# Its declarations take MPI_STATUSES_IGNORE for an array of one.
$(call mpi_verify,mpich,-Wno-stringop-overflow)

$(call unit_test,mpi_verify_checkers,$(MPI_VERIFY_CHECKERS),)

$(call program,window-verify,$(VERIFY_SOURCES) $(addprefix demo-apps/window_verify/,main.c lane.c owner.c guest.c),-libverbs)
