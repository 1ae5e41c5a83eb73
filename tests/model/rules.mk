# tests/model: random programs, run over the shim and a simulated HCA in one process, judged by a reference.

MODEL_PROGRAM := $(addprefix tests/model/,program.c program_make.c program_text.c)
$(call unit_test,model_program,$(MODEL_PROGRAM),)
MODEL_REFERENCE := $(addprefix tests/model/,reference.c reference_causes.c reference_completions.c reference_counters.c reference_memory.c)
$(call unit_test,model_reference,$(MODEL_PROGRAM) $(MODEL_REFERENCE),)
$(call unit_test,model_shrink,$(MODEL_PROGRAM) tests/model/shrink.c,)
$(call unit_test,model_coverage,$(MODEL_PROGRAM) tests/model/coverage.c,)
