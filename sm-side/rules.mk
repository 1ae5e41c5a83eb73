# sm-side: tether-smd and tether (daemon), libosmtether.so and its planner (plugin).

# ---- daemon ------------------------------------------------------------------------------------------------------

MIGRATION_SOURCES := sm-side/migration.c sm-side/migration_table.c sm-side/testimony.c sm-side/orders.c \
	notifier/base/deadlines.c notifier/wire/rows.c $(WIRE_SOURCES)
LEDGER_SOURCES := sm-side/ledger.c sm-side/json_read.c sm-side/guid_text.c $(MIGRATION_SOURCES)

$(call unit_test,smd_migration,$(MIGRATION_SOURCES),-lprotobuf-c)
$(call unit_test,smd_journal,sm-side/journal.c notifier/base/log.c)
$(call unit_test,smd_ledger,$(LEDGER_SOURCES),-ljson-c -lprotobuf-c)

# ---- end of daemon -----------------------------------------------------------------------------------------------

# ---- plugin ------------------------------------------------------------------------------------------------------

CFLAGS_sm-side := -isystem /usr/include/infiniband

PLAN_SOURCES := sm-side/plan/refusal.c sm-side/plan/fabric_view.c sm-side/plan/endpoint.c sm-side/plan/swap.c

$(call unit_test,plan_view,$(PLAN_SOURCES))
$(call unit_test,plan_swap,$(PLAN_SOURCES))

# ---- end of plugin -----------------------------------------------------------------------------------------------
