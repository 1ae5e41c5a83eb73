# bench: what needs a program of its own.

SOURCES += tests/bench/path_cost.c
$(B)/bench/path_cost: $(call obj,tests/bench/path_cost.c $(SHIM_HARNESS))
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -lcmocka -lprotobuf-c -lpthread

.PHONY: bench-path
bench-path: $(B)/bench/path_cost $(B)/deps-extra.stamp
	$(Q)tests/bench/run_bench_path --build $(B) $(BENCH)

SOURCES += tests/bench/plan_cost.c
$(B)/bench/plan_cost: $(call obj,tests/bench/plan_cost.c tests/unit/plan_tree.c $(PLAN_SOURCES))
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^)

.PHONY: bench-plan
bench-plan: $(B)/bench/plan_cost $(B)/deps-extra.stamp
	$(Q)tests/bench/run_bench_plan --build $(B) $(BENCH)

.PHONY: bench-reconfigure
bench-reconfigure: all
	$(Q)tests/bench/run_bench_reconfigure --build $(B) $(if $(SIZES),--sizes $(SIZES)) $(BENCH)

# SIZES may have commas in one, so they are separated by spaces.
.PHONY: bench-evacuate
bench-evacuate: all
	$(Q)tests/bench/run_bench_evacuate --build $(B) $(if $(SIZES),--sizes "$(SIZES)") $(BENCH)

.PHONY: bench-smp
bench-smp: all
	$(Q)tests/bench/run_bench_smp --build $(B) $(if $(SIZES),--sizes $(SIZES)) $(BENCH)
