# tests/model: random programs, run over the shim and a simulated HCA in one process, judged by a reference.

MODEL_PROGRAM := $(addprefix tests/model/,program.c program_make.c program_make_faults.c program_make_links.c program_make_work.c program_text.c)
$(call unit_test,model_program,$(MODEL_PROGRAM),)
MODEL_REFERENCE := $(addprefix tests/model/,reference.c reference_causes.c reference_completions.c reference_counters.c reference_memory.c reference_end.c)
$(call unit_test,model_reference,$(MODEL_PROGRAM) $(MODEL_REFERENCE),)
$(call unit_test,model_violations,$(MODEL_PROGRAM) $(MODEL_REFERENCE),)
$(call unit_test,model_windows,$(MODEL_PROGRAM) $(MODEL_REFERENCE) tests/model/shrink.c tests/model/coverage.c,)
$(call unit_test,model_xrc,$(MODEL_PROGRAM) $(MODEL_REFERENCE) tests/model/shrink.c,)
$(call unit_test,model_shrink,$(MODEL_PROGRAM) tests/model/shrink.c,)
$(call unit_test,model_coverage,$(MODEL_PROGRAM) tests/model/coverage.c,)

# The library over the simulated HCA in one process, where nothing happens by itself.

include tests/simfabric/sources.mk

TURNS_SOURCES := $(filter-out tests/simfabric/hca_at_hand.c tests/simfabric/hca_thread.c,$(VERBS_FACE_SOURCES)) tests/model/turns.c tests/model/turns_states.c tests/simfabric/work_state.c
$(call library,libsimfabric-turns.so,$(sort $(FABRIC_SOURCES) $(QUEUE_PAIR_SOURCES) $(TURNS_SOURCES)),-lpthread,-Xlinker -Bsymbolic)

# The library under test stands in the program; what simfabric makes of the fabric's file, too.
MODEL_WORLD := $(SHIM_BARE) tests/unit/shim_no_rdmacm.c $(FABRIC_SOURCES) $(addprefix tests/model/,world.c world_fabric.c world_verbs.c world_clock.c root.c no_agent.c)
MODEL_LIBS := -Xlinker --export-dynamic-symbol=clock_gettime -Xlinker --export-dynamic-symbol=getrandom -lprotobuf-c -lpthread -ldl
$(call unit_test,model_world,$(MODEL_WORLD),$(MODEL_LIBS))
$(B)/unit/model_world: | $(B)/lib/libsimfabric-turns.so

# Each class of work in each state at the stop, by rules of the simulated HCA (qp_faults.h).
INJECTED := $(addprefix tests/model/,injected_cases.c injected_table.c injected_make.c injected_ends.c injected_batch.c injected_check.c)
$(call program,injected-cases,$(INJECTED) $(MODEL_WORLD) tests/simfabric/work_state.c tests/simfabric/request_packets.c \
	tests/simfabric/completion_queue.c tests/simfabric/scatter_gather.c tests/simfabric/memory_keys.c,$(MODEL_LIBS))
$(B)/bin/injected-cases: | $(B)/lib/libsimfabric-turns.so

# Random programs in it.
CHECK_MODEL := $(MODEL_PROGRAM) $(MODEL_REFERENCE) $(addprefix tests/model/,shrink.c coverage.c actors.c posting.c windows.c eye.c probe.c movers.c \
	run_program.c check_model.c)
$(call program,check-model,$(CHECK_MODEL) $(MODEL_WORLD),$(MODEL_LIBS))
$(B)/bin/check-model: | $(B)/lib/libsimfabric-turns.so

.PHONY: check-model mutant
check-model: $(B)/bin/check-model
	$(Q)$< --programs $(or $(PROGRAMS),200) --seed $(or $(SEED),1) --kept tests/model/seeds

# make mutant NAME=n FILE=preload/x.c SOURCE=path: the same with another file in place of one, as BUILD/mutants/n.
MUTANT_OBJECTS = $(filter-out $(call obj,$(FILE)),$(sort $(call obj,$(CHECK_MODEL) $(MODEL_WORLD))))
mutant: $(B)/bin/check-model
	@mkdir -p $(B)/mutants
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $(B)/mutants/$(NAME).o $(SOURCE)
	$(Q)$(CC) $(LDFLAGS) -o $(B)/mutants/$(NAME) $(MUTANT_OBJECTS) $(B)/mutants/$(NAME).o $(MODEL_LIBS)
