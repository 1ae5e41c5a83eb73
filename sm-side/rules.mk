# sm-side: tether-smd and tether (daemon), libosmtether.so and its planner (plugin).

# ---- daemon ------------------------------------------------------------------------------------------------------

MIGRATION_SOURCES := sm-side/migration.c sm-side/migration_table.c sm-side/testimony.c

$(call unit_test,smd_migration,$(MIGRATION_SOURCES) notifier/base/deadlines.c notifier/wire/rows.c $(WIRE_SOURCES),-lprotobuf-c)

# ---- end of daemon -----------------------------------------------------------------------------------------------
