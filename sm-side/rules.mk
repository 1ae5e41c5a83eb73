# sm-side: tether-smd and tether (daemon), libosmtether.so and its planner (plugin).

# ---- daemon ------------------------------------------------------------------------------------------------------

MIGRATION_SOURCES := sm-side/migration.c sm-side/migration_table.c sm-side/testimony.c

$(call unit_test,smd_migration,$(MIGRATION_SOURCES) notifier/base/deadlines.c notifier/wire/rows.c $(WIRE_SOURCES),-lprotobuf-c)
$(call unit_test,smd_journal,sm-side/journal.c notifier/base/log.c)

# ---- end of daemon -----------------------------------------------------------------------------------------------

# ---- plugin ------------------------------------------------------------------------------------------------------

PLAN_SOURCES := sm-side/plan/refusal.c sm-side/plan/fabric_view.c sm-side/plan/endpoint.c sm-side/plan/swap.c

$(call unit_test,plan_view,$(PLAN_SOURCES))
$(call unit_test,plan_swap,$(PLAN_SOURCES))

# ---- end of plugin -----------------------------------------------------------------------------------------------
