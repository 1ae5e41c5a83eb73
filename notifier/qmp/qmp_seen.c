/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_seen.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/qmp/qmp_message.h"

struct word {
	const char *word;
	int value;
};

static const struct word states[] = {
        {"running", QMP_VM_RUNNING},
        {"paused", QMP_VM_PAUSED},
        {"prelaunch", QMP_VM_PAUSED},
        {"inmigrate", QMP_VM_INCOMING},
        {"finish-migrate", QMP_VM_SWITCHING},
        {"postmigrate", QMP_VM_POSTMIGRATE},
};

static const struct word migrations[] = {
        {"setup", QMP_MIGRATION_ACTIVE},
        {"active", QMP_MIGRATION_ACTIVE},
        {"device", QMP_MIGRATION_ACTIVE},
        {"wait-unplug", QMP_MIGRATION_ACTIVE},
        {"postcopy-active", QMP_MIGRATION_ACTIVE},
        {"postcopy-paused", QMP_MIGRATION_ACTIVE},
        {"postcopy-recover", QMP_MIGRATION_ACTIVE},
        {"postcopy-recover-setup", QMP_MIGRATION_ACTIVE},
        {"colo", QMP_MIGRATION_ACTIVE},
        {"pre-switchover", QMP_MIGRATION_PRE_SWITCHOVER},
        {"cancelling", QMP_MIGRATION_CANCELLING},
        {"failing", QMP_MIGRATION_CANCELLING},
        {"cancelled", QMP_MIGRATION_CANCELLED},
        {"failed", QMP_MIGRATION_FAILED},
        {"completed", QMP_MIGRATION_COMPLETED},
};

static int word_value(const struct word *words, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(words[i].word, word))
			return words[i].value;
	return 0;
}

void qmp_text_copy(char *to, unsigned size, const char *text)
{
	snprintf(to, size, "%s", text);
	for (; *to; to++)
		if ((unsigned char)*to < ' ' || *to == 127)
			*to = ' ';
}

void qmp_seen_status(struct qmp_seen *seen, struct json_object *json)
{
	const char *status = qmp_text(json, "status");

	qmp_text_copy(seen->status, sizeof(seen->status), status);
	seen->state = (enum qmp_vm_state)word_value(states, ARRAY_SIZE(states), status);
}

void qmp_seen_migration(struct qmp_seen *seen, struct json_object *json)
{
	struct json_object *ram = qmp_member(json, "ram");

	seen->migration = (enum qmp_migration)word_value(
	        migrations, ARRAY_SIZE(migrations), qmp_text(json, "status"));
	seen->total_ms = qmp_number(json, "total-time");
	seen->downtime_ms = qmp_number(json, "downtime");
	seen->transferred = qmp_number(ram, "transferred");
	seen->remaining = qmp_number(ram, "remaining");
	seen->passes = qmp_number(ram, "dirty-sync-count");
	qmp_text_copy(seen->why, sizeof(seen->why), qmp_text(json, "error-desc"));
}

void qmp_seen_devices(struct qmp_seen *seen, struct json_object *json)
{
	json_object_put(seen->devices);
	seen->devices = json_object_is_type(json, json_type_array) ? json_object_get(json) : NULL;
}

void qmp_seen_clear(struct qmp_seen *seen)
{
	json_object_put(seen->devices);
	*seen = (struct qmp_seen){0};
}

bool qmp_seen_has(const struct qmp_seen *seen, const char *device)
{
	size_t count = seen->devices ? json_object_array_length(seen->devices) : 0;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(qmp_text(json_object_array_get_idx(seen->devices, i), "name"), device))
			return true;
	return false;
}

/* Where it waits for its memory query-migrate tells of that. */
bool qmp_is_moving(const struct qmp_seen *seen)
{
	return seen->state != QMP_VM_INCOMING &&
	       (seen->migration == QMP_MIGRATION_ACTIVE ||
	               seen->migration == QMP_MIGRATION_PRE_SWITCHOVER ||
	               seen->migration == QMP_MIGRATION_CANCELLING);
}

bool qmp_has_moved(const struct qmp_seen *seen)
{
	return (seen->state == QMP_VM_POSTMIGRATE || seen->state == QMP_VM_SWITCHING) &&
	       seen->migration == QMP_MIGRATION_COMPLETED;
}
