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

# Programs of make bench-signalling: what it counts is counted between the root and its links.
$(call program,signalling_sm,tests/bench/signalling_sm.c tests/bench/signalling_relay.c tests/bench/signalling_flat.c \
	tests/bench/line_tool.c $(ROOT_SOURCES) $(RELAY_SOURCES) $(LINK_SOURCES) $(BASE_SOURCES),$(LINK_LIBS) -ljson-c,\
	$(foreach f,connection_send relay_child_frame,-Xlinker --wrap=$(f)))
$(call program,signalling_ends,tests/bench/signalling_ends.c tests/bench/signalling_end.c tests/bench/line_tool.c $(LINK_SOURCES) $(BASE_SOURCES),$(LINK_LIBS))

.PHONY: bench-signalling
bench-signalling: all
	$(Q)tests/bench/run_bench_signalling --build $(B) $(BENCH)

.PHONY: bench-hostile
bench-hostile: all
	$(Q)tests/bench/run_bench_hostile --build $(B) $(BENCH)
