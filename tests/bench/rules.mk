# bench: what needs a program of its own.

SOURCES += tests/bench/path_cost.c
$(B)/bench/path_cost: $(call obj,tests/bench/path_cost.c $(SHIM_HARNESS))
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -lcmocka -lprotobuf-c -lpthread

.PHONY: bench-path
bench-path: $(B)/bench/path_cost $(B)/deps-extra.stamp
	$(Q)tests/bench/run_bench_path --build $(B) $(BENCH)

.PHONY: bench-reconfigure
bench-reconfigure: all
	$(Q)tests/bench/run_bench_reconfigure --build $(B) $(if $(SIZES),--sizes $(SIZES)) $(BENCH)

.PHONY: bench-smp
bench-smp: all
	$(Q)tests/bench/run_bench_smp --build $(B) $(if $(SIZES),--sizes $(SIZES)) $(BENCH)
