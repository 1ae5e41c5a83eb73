/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a QEMU says of itself: query-status, query-migrate, its devices. Pure. */
#ifndef TETHER_QMP_SEEN_H
#define TETHER_QMP_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

/* RunState (QEMU, qapi/run-state.json), as far as it matters here. */
enum qmp_vm_state {
	QMP_VM_OTHER, /* it is here, and not to be started by us */
	QMP_VM_RUNNING,
	QMP_VM_PAUSED,     /* or not started yet */
	QMP_VM_INCOMING,   /* waits for its memory */
	QMP_VM_SWITCHING,  /* stopped for the last of it to go */
	QMP_VM_POSTMIGRATE /* stopped since it has gone; or has not, see qmp_has_moved */
};

/* MigrationStatus (qapi/migration.json). */
enum qmp_migration {
	QMP_MIGRATION_NONE,
	QMP_MIGRATION_ACTIVE,
	QMP_MIGRATION_PRE_SWITCHOVER,
	QMP_MIGRATION_CANCELLING,
	QMP_MIGRATION_CANCELLED,
	QMP_MIGRATION_FAILED,
	QMP_MIGRATION_COMPLETED
};

enum { QMP_SEEN_TEXT = 200 };

struct qmp_seen {
	enum qmp_vm_state state;
	char status[32]; /* in QEMU's words */
	enum qmp_migration migration;
	uint64_t total_ms, downtime_ms;
	uint64_t transferred, remaining, passes;
	char why[QMP_SEEN_TEXT];     /* a migration has failed */
	struct json_object *devices; /* of qom-list */
};

/* Of what was returned, whatever that is. */
void qmp_seen_status(struct qmp_seen *seen, struct json_object *json);
void qmp_seen_migration(struct qmp_seen *seen, struct json_object *json);
void qmp_seen_devices(struct qmp_seen *seen, struct json_object *json);
void qmp_seen_clear(struct qmp_seen *seen);

bool qmp_seen_has(const struct qmp_seen *seen, const char *device);
/* Is its memory on its way from here? */
bool qmp_is_moving(const struct qmp_seen *seen);
/* Is the VM another host's? */
bool qmp_has_moved(const struct qmp_seen *seen);

/* Into @to, without what a terminal would act on. */
void qmp_text_copy(char *to, unsigned size, const char *text);

#endif
