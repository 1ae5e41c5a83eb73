/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/conductor_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/journal/plan_evidence.h"

int conductor_append(struct conductor *c, const struct record *records, size_t count, bool durable)
{
	/* Whose things are has been acted on, perhaps: it is known before what follows. */
	int err = conductor_places_write(c);

	if (!err)
		err = journal_append(c->journal, records, count, durable);

	if (err)
		log_error("journal", "a record could not be written: %s", strerror(-err));
	return err;
}

int conductor_record_epoch(struct conductor *c, uint64_t epoch)
{
	struct record record = {RECORD_epoch, {.epoch = {epoch, conductor_wall_us()}}};
	int err = conductor_append(c, &record, 1, true);

	if (!err)
		c->ledger->epoch = epoch;
	return err;
}

static int end_record(struct conductor *c, struct ledger_entry *entry)
{
	struct ledger_records records;
	int err = ledger_state_records(entry, &records);

	if (err)
		return err;
	err = conductor_append(c, records.at, records.count, true);
	ledger_records_clear(&records);
	entry->end_is_owed = err;
	return err;
}

int conductor_record_ends(struct conductor *c)
{
	int err = 0;

	for (struct ledger_entry *e = c->ledger->newest; e && !err; e = e->older)
		if (e->end_is_owed)
			err = end_record(c, e);
	return err ? err : vm_changer_record_ends(c->vms);
}

int conductor_record_intent(struct conductor *c, const struct migration_intent *intent)
{
	struct record records[MIGRATION_VFS_MAX];
	int err = conductor_record_ends(c);

	if (!err)
		err = conductor_append(c, records, ledger_intent_records(intent, records), true);

	die_point(DIE_SMD_INTENT, "written");
	return err;
}

int drive_record_state(struct drive *d, bool durable)
{
	struct migration *m = drive_migration(d);
	struct ledger_records records;
	int err;

	if (m->overall_us && !d->entry->overall_wall_us)
		d->entry->overall_wall_us =
		        conductor_wall_us() + (int64_t)(m->overall_us - monotonic_us());
	news_find(d);
	err = ledger_state_records(d->entry, &records);
	if (err)
		return err;
	die_point(DIE_SMD_RECORD, migration_state_name(m->state));
	err = conductor_append(d->conductor, records.at, records.count, durable);
	ledger_records_clear(&records);
	d->entry->end_is_owed = err && migration_ended(m);
	die_point(DIE_SMD_RECORDED, migration_state_name(m->state));
	return err;
}

int drive_record_gids(struct drive *d)
{
	struct record records[MIGRATION_GIDS_MAX];
	size_t count = ledger_gid_records(drive_migration(d), records);

	return count ? conductor_append(d->conductor, records, count, false) : 0;
}

int drive_record_plan(struct drive *d, struct json_object *answer)
{
	struct record record = {.kind = RECORD_plan};
	CLEANUP_FREE uint8_t *entries = NULL;
	int err = plan_evidence_read(answer, &record.value.plan, &entries);

	if (err) {
		log_error("journal",
		        "migration %" PRIu64 "/%" PRIu64 ": the SM's plan cannot be kept: %s",
		        drive_migration(d)->intent.id, drive_migration(d)->intent.epoch,
		        strerror(-err));
		return err;
	}
	record.value.plan.migration = drive_migration(d)->intent.id;
	err = conductor_append(d->conductor, &record, 1, false);
	die_point(DIE_SMD_PLAN, "written");
	return err;
}
