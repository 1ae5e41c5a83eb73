/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/journal/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 1000 };

void ledger_init(struct ledger *ledger, const struct deadlines *deadlines)
{
	*ledger = (struct ledger){.deadlines = deadlines};
}

static void entry_free(struct ledger_entry *entry)
{
	migration_clear(&entry->migration);
	free(entry->servers);
	free(entry);
}

void ledger_clear(struct ledger *ledger)
{
	while (ledger->newest) {
		struct ledger_entry *entry = ledger->newest;

		ledger->newest = entry->older;
		entry_free(entry);
	}
	ledger->count = 0;
}

static void forget_oldest_ended(struct ledger *ledger)
{
	struct ledger_entry **found = NULL;

	for (struct ledger_entry **e = &ledger->newest; *e; e = &(*e)->older) {
		if (migration_ended(&(*e)->migration))
			found = e;
	}
	if (found) {
		struct ledger_entry *entry = *found;

		*found = entry->older;
		entry_free(entry);
		ledger->count--;
	}
}

struct ledger_entry *ledger_add(struct ledger *ledger, const struct migration_intent *intent)
{
	struct ledger_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	if (ledger->count >= ENTRIES_MAX)
		forget_oldest_ended(ledger);
	migration_init(&entry->migration, intent, ledger->deadlines);
	entry->older = ledger->newest;
	ledger->newest = entry;
	ledger->count++;
	if (intent->id > ledger->last_id)
		ledger->last_id = intent->id;
	if (intent->epoch > ledger->epoch)
		ledger->epoch = intent->epoch;
	return entry;
}

struct ledger_entry *ledger_find(const struct ledger *ledger, uint64_t id)
{
	for (struct ledger_entry *e = ledger->newest; e; e = e->older) {
		if (e->migration.intent.id == id)
			return e;
	}
	return NULL;
}

struct ledger_entry *ledger_oldest_open(const struct ledger *ledger)
{
	struct ledger_entry *oldest = NULL;

	for (struct ledger_entry *e = ledger->newest; e; e = e->older) {
		if (!migration_ended(&e->migration))
			oldest = e;
	}
	return oldest;
}

const struct migration *ledger_latest_of(const struct ledger *ledger, const char *vm)
{
	for (const struct ledger_entry *e = ledger->newest; e; e = e->older) {
		if (!strcmp(e->migration.intent.vm, vm) &&
		        (e->migration.intent.address.lid || !e->migration.intent.fabric))
			return &e->migration;
	}
	return NULL;
}

/* ---- writing ---- */

/* The states whose action hands on what the shims have said before; STOPPING, so that it is known
 * whom an abort has to reach. */
static bool needs_testimony(enum migration_state state)
{
	enum migration_action action = migration_state_action(state);

	return action == ACTION_STOP || action == ACTION_RELEASE || action == ACTION_RECONNECT;
}

/* When the state was entered, since the migration was asked for. */
static uint64_t entered_at_us(const struct migration *m)
{
	if (!m->step_count)
		return 0;
	return m->steps[m->step_count - 1].started_us - m->steps[0].started_us;
}

static struct record *record_add(struct ledger_records *records, enum record_kind kind)
{
	struct record *record = &records->at[records->count++];

	*record = (struct record){.kind = kind};
	return record;
}

static void state_add(
        struct ledger_records *records, const struct migration *m, int64_t overall_wall_us)
{
	struct state_record *state = &record_add(records, RECORD_state)->value.state;

	*state = (struct state_record){.migration = m->intent.id,
	        .epoch = m->intent.epoch,
	        .state = m->state,
	        .at_us = entered_at_us(m),
	        .sequence = m->sequence,
	        .address = m->intent.address,
	        .source_switch = m->intent.source.switch_guid,
	        .source_switch_port = m->intent.source.switch_port,
	        .overall_us = overall_wall_us,
	        .given_up = m->given_up,
	        .vacated = m->vacated};
	memcpy(state->plan, m->plan_hash[0], sizeof(state->plan));
}

static struct record vf_record(const struct migration_intent *intent, unsigned place)
{
	return (struct record){RECORD_vf,
	        {.vf = {.migration = intent->id, .place = place, .vf = intent->vfs[place]}}};
}

size_t ledger_intent_records(
        const struct migration_intent *intent, struct record records[MIGRATION_VFS_MAX])
{
	records[0] = (struct record){RECORD_intent, {.intent = *intent}};
	for (unsigned i = 1; i < migration_vf_count(intent); i++)
		records[i] = vf_record(intent, i);
	return migration_vf_count(intent);
}

size_t ledger_gid_records(
        const struct migration *migration, struct record records[MIGRATION_GIDS_MAX])
{
	for (size_t i = 0; i < migration->gid_count; i++) {
		records[i] =
		        (struct record){RECORD_gid, {.gid = {.migration = migration->intent.id}}};
		memcpy(records[i].value.gid.gid, migration->gids[i], GID_BYTES);
	}
	return migration->gid_count;
}

static void vfs_add(struct ledger_records *records, const struct migration *m)
{
	for (unsigned i = 1; i < migration_vf_count(&m->intent); i++) {
		struct record *record = &records->at[records->count++];

		*record = vf_record(&m->intent, i);
		memcpy(record->value.vf.plan, m->plan_hash[i], PLAN_HASH_BYTES);
	}
}

static int said_add(struct ledger_records *records, const struct migration *m)
{
	struct said_record *said;
	size_t length;
	int err = testimony_pack(&m->testimony, &records->said, &length);

	if (err)
		return err;
	said = &record_add(records, RECORD_said)->value.said;
	*said = (struct said_record){m->intent.id, {records->said, length}};
	return 0;
}

static void ending_add(struct ledger_records *records, const struct migration *m)
{
	record_add(records, RECORD_ending)->value.ending =
	        (struct ending_record){m->intent.id, m->state, m->counts, m->testimony.counts};
	for (size_t i = 0; i < m->testimony.finding_count; i++) {
		const struct finding *finding = &m->testimony.findings[i];

		record_add(records, RECORD_finding)->value.finding = (struct finding_record){
		        m->intent.id, finding->who, finding->reason, finding->text};
	}
}

struct record ledger_news_record(const struct ledger_entry *entry)
{
	return (struct record){RECORD_news,
	        {.news = {entry->migration.intent.id, entry->servers, entry->news_are_said}}};
}

int ledger_state_records(const struct ledger_entry *entry, struct ledger_records *records)
{
	enum { OTHERS = 4 + MIGRATION_VFS_MAX }; /* than findings */
	const struct migration *migration = &entry->migration;
	int err = 0;

	*records = (struct ledger_records){
	        .at = calloc(migration->testimony.finding_count + OTHERS, sizeof(*records->at))};
	if (!records->at)
		return -ENOMEM;
	state_add(records, migration, entry->overall_wall_us);
	vfs_add(records, migration);
	if (needs_testimony(migration->state))
		err = said_add(records, migration);
	if (err)
		ledger_records_clear(records);
	else if (migration_ended(migration))
		ending_add(records, migration);
	if (!err && entry->servers)
		records->at[records->count++] = ledger_news_record(entry);
	return err;
}

void ledger_records_clear(struct ledger_records *records)
{
	free(records->at);
	free(records->said);
	*records = (struct ledger_records){0};
}

/* ---- reading ---- */

static void epoch_take(struct ledger *ledger, uint64_t epoch)
{
	if (epoch > ledger->epoch)
		ledger->epoch = epoch;
}

static bool is_address(const struct address *address)
{
	return gid_name_fits(address->lid, address->gid, GID_BYTES);
}

static int intent_take(struct ledger *ledger, const struct migration_intent *intent)
{
	struct ledger_entry *entry;

	if (ledger_find(ledger, intent->id) || !is_address(&intent->address))
		return -EBADMSG;
	entry = ledger_add(ledger, intent);
	if (!entry)
		return -ENOMEM;
	entry->migration.state = STATE_LOCATING;
	return 0;
}

static int step_take(struct migration *m, enum migration_state state, uint64_t at_us)
{
	struct migration_step *grown = realloc(m->steps, (m->step_count + 1) * sizeof(*m->steps));

	if (!grown)
		return -ENOMEM;
	at_us += (uint64_t)m->intent.asked_wall_us;
	m->steps = grown;
	if (m->step_count)
		grown[m->step_count - 1].ended_us = at_us;
	grown[m->step_count++] = (struct migration_step){.state = state,
	        .started_us = at_us,
	        .ended_us = migration_phase(state) == PHASE_ENDED ? at_us : 0};
	return 0;
}

static int state_take(struct ledger_entry *entry, const struct state_record *record)
{
	struct migration *m = &entry->migration;
	int err = is_address(&record->address) ? step_take(m, record->state, record->at_us)
	                                       : -EBADMSG;

	if (err)
		return err;
	/* Who looked where things stand and died over it knows no more than before. */
	if (record->state != STATE_RECOVERING)
		m->state = record->state;
	m->intent.epoch = record->epoch;
	m->intent.address = record->address;
	m->intent.source.switch_guid = record->source_switch;
	m->intent.source.switch_port = record->source_switch_port;
	m->sequence = record->sequence;
	m->given_up = record->given_up;
	m->vacated = record->vacated;
	if (*record->plan)
		memcpy(m->plan_hash[0], record->plan, PLAN_HASH_BYTES);
	if (record->overall_us)
		entry->overall_wall_us = record->overall_us;
	entry->changes++;
	return 0;
}

static int gid_take(struct migration *m, const struct gid_record *record)
{
	int err = migration_is_by_gids(&m->intent) ? migration_gid_add(m, record->gid) : -EBADMSG;

	return err == -ENOSPC ? -EBADMSG : err;
}

/* Hosts are those of the first. */
static int vf_take(struct migration *m, const struct vf_record *record)
{
	struct moving_vf *vf;

	if (!record->place || record->place >= MIGRATION_VFS_MAX)
		return -EBADMSG;
	vf = &m->intent.vfs[record->place];
	*vf = record->vf;
	memcpy(vf->source.host, m->intent.source.host, sizeof(vf->source.host));
	memcpy(vf->destination.host, m->intent.destination.host, sizeof(vf->destination.host));
	memcpy(m->plan_hash[record->place], record->plan, PLAN_HASH_BYTES);
	if (record->place > m->intent.others)
		m->intent.others = record->place;
	return 0;
}

static int ending_take(struct migration *m, const struct ending_record *record)
{
	if (!migration_ended(m) || m->state != record->outcome)
		return -EBADMSG;
	m->counts = record->counts;
	m->testimony.counts = record->said;
	return 0;
}

static int news_take(struct ledger_entry *entry, const struct news_record *record)
{
	char *servers = strdup(record->servers);

	if (!servers)
		return -ENOMEM;
	free(entry->servers);
	entry->servers = servers;
	entry->news_are_said = record->told;
	return entry->migration.state == STATE_DONE ? 0 : -EBADMSG;
}

/* Of a migration that is known. */
static int part_take(struct ledger *ledger, const struct record *record, uint64_t migration)
{
	const union record_value *value = &record->value;
	struct ledger_entry *entry = ledger_find(ledger, migration);

	if (!entry)
		return -EBADMSG;
	switch (record->kind) {
	case RECORD_state:
		epoch_take(ledger, value->state.epoch);
		return state_take(entry, &value->state);
	case RECORD_vf:
		return vf_take(&entry->migration, &value->vf);
	case RECORD_gid:
		return gid_take(&entry->migration, &value->gid);
	case RECORD_said:
		return testimony_unpack(&entry->migration.testimony, entry->migration.intent.vm,
		        value->said.said.at, value->said.said.length);
	case RECORD_ending:
		return ending_take(&entry->migration, &value->ending);
	case RECORD_news:
		return news_take(entry, &value->news);
	case RECORD_finding:
		return testimony_find(&entry->migration.testimony, value->finding.who,
		        value->finding.reason, value->finding.text);
	default:
		return -EBADMSG;
	}
}

/* Where @later found the VM. One that gives a VM its VF again comes after a move that was lost. */
static enum migration_state end_before(const struct migration *m, const struct migration *later)
{
	if (later->intent.reattach)
		return STATE_LOST;
	if (!strcmp(later->intent.source.host, m->intent.destination.host))
		return STATE_DONE;
	return migration_phase(m->state) == PHASE_FORWARD || migration_phase(m->state) == PHASE_BACK
	               ? STATE_FAILED_AT_SOURCE
	               : STATE_ABORTED;
}

static void close_overtaken(struct ledger_entry *entry, const struct migration *later)
{
	struct migration *m = &entry->migration;
	uint64_t at_us = 0;
	char text[128];

	if (m->step_count)
		at_us = m->steps[m->step_count - 1].started_us - (uint64_t)m->intent.asked_wall_us;
	snprintf(text, sizeof(text), "its end was not written; it is told from migration %" PRIu64,
	        later->intent.id);
	m->state = end_before(m, later);
	testimony_find(&m->testimony, "tether-smd", "journal-failed", text);
	step_take(m, m->state, at_us);
	entry->end_is_owed = true;
}

static const struct migration *next_of_vm(
        const struct ledger *ledger, const struct ledger_entry *entry)
{
	const struct migration *next = NULL;

	for (const struct ledger_entry *e = ledger->newest; e != entry; e = e->older)
		if (!strcmp(e->migration.intent.vm, entry->migration.intent.vm))
			next = &e->migration;
	return next;
}

void ledger_close_overtaken(struct ledger *ledger)
{
	for (struct ledger_entry *e = ledger->newest; e; e = e->older) {
		const struct migration *later = next_of_vm(ledger, e);

		if (later && !migration_ended(&e->migration))
			close_overtaken(e, later);
	}
}

int ledger_take(struct ledger *ledger, const struct record *record)
{
	switch (record->kind) {
	case RECORD_epoch:
		epoch_take(ledger, record->value.epoch.epoch);
		return 0;
	case RECORD_intent:
		return intent_take(ledger, &record->value.intent);
	case RECORD_state:
		return part_take(ledger, record, record->value.state.migration);
	case RECORD_vf:
		return part_take(ledger, record, record->value.vf.migration);
	case RECORD_gid:
		return part_take(ledger, record, record->value.gid.migration);
	case RECORD_said:
		return part_take(ledger, record, record->value.said.migration);
	case RECORD_ending:
		return part_take(ledger, record, record->value.ending.migration);
	case RECORD_news:
		return part_take(ledger, record, record->value.news.migration);
	case RECORD_finding:
		return part_take(ledger, record, record->value.finding.migration);
	default:
		return -EBADMSG;
	}
}
