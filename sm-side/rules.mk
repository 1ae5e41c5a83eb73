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

PLUGIN_SOURCES := sm-side/osm_plugin.c sm-side/plugin_ops.c sm-side/osm_model.c sm-side/sweep_lease.c sm-side/reread.c \
	sm-side/identity_move.c sm-side/identity_verify.c sm-side/smp_sender_opensm.c sm-side/plan_store.c \
	sm-side/sm_protocol.c sm-side/sm_server.c sm-side/json_read.c sm-side/guid_text.c $(PLAN_SOURCES)

# What it calls of OpenSM is found in the program that loads it.
$(call library,libosmtether.so,$(PLUGIN_SOURCES),-ljson-c -lpthread)

$(call unit_test,plan_view,$(PLAN_SOURCES))
$(call unit_test,plan_swap,$(PLAN_SOURCES))

# ---- end of plugin -----------------------------------------------------------------------------------------------
