/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"

enum { ENTRIES_MAX = 1000 };

void ledger_init(struct ledger *ledger, const struct deadlines *deadlines)
{
	*ledger = (struct ledger){.deadlines = deadlines};
}

static void entry_free(struct ledger_entry *entry)
{
	migration_clear(&entry->migration);
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

static int text_of(struct json_object *object, char **text)
{
	const char *plain = json_object_to_json_string_ext(
	        object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	*text = plain ? strdup(plain) : NULL;
	json_object_put(object);
	return *text ? 0 : -ENOMEM;
}

static struct json_object *record_new(const char *kind)
{
	struct json_object *record = json_object_new_object();

	json_put_text(record, "kind", kind);
	return record;
}

int ledger_epoch_record(uint64_t epoch, char **text)
{
	struct json_object *record = record_new("epoch");

	json_put_number(record, "epoch", epoch);
	return text_of(record, text);
}

static struct json_object *place_write(const struct place *place)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "host", place->host);
	json_put_text(object, "slot", place->slot);
	json_put_guid(object, "switch_guid", place->switch_guid);
	json_put_number(object, "switch_port", place->switch_port);
	return object;
}

static struct json_object *identity_write(const struct identity *identity)
{
	struct json_object *object = json_object_new_object();

	json_put_guid(object, "node_guid", identity->node_guid);
	json_put_guid(object, "port_guid", identity->port_guid);
	return object;
}

int ledger_intent_record(const struct migration_intent *intent, char **text)
{
	struct json_object *record = record_new("intent");

	json_put_number(record, "migration", intent->id);
	json_put_number(record, "epoch", intent->epoch);
	json_put_text(record, "vm", intent->vm);
	json_object_object_add(record, "source", place_write(&intent->source));
	json_object_object_add(record, "destination", place_write(&intent->destination));
	json_object_object_add(record, "identity", identity_write(&intent->identity));
	json_object_object_add(record, "other", identity_write(&intent->other));
	json_put_bool(record, "fabric", intent->fabric);
	json_put_bool(record, "force", intent->force);
	json_put_bool(record, "reattach", intent->reattach);
	json_put_number(record, "asked_us", (uint64_t)intent->asked_wall_us);
	return text_of(record, text);
}

static void address_write(struct json_object *record, const struct address *address)
{
	char gid[GID_TEXT_BYTES];

	gid_format(address->gid, gid);
	json_put_number(record, "lid", address->lid);
	json_put_text(record, "gid", gid);
}

/* The states whose action hands on what the shims have said before; STOPPING, so that it is known
 * whom an abort has to reach. */
static bool needs_testimony(enum migration_state state)
{
	enum migration_action action = migration_state_action(state);

	return action == ACTION_STOP || action == ACTION_RELEASE || action == ACTION_RECONNECT;
}

static int testimony_write(struct json_object *record, const struct testimony *testimony)
{
	char *said;
	int err = testimony_pack(testimony, &said);

	if (err)
		return err;
	json_put_text(record, "said", said);
	free(said);
	return 0;
}

static void findings_write(struct json_object *record, const struct testimony *testimony)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < testimony->finding_count; i++) {
		struct json_object *finding = json_object_new_object();

		json_put_text(finding, "who", testimony->findings[i].who);
		json_put_text(finding, "reason", testimony->findings[i].reason);
		json_put_text(finding, "text", testimony->findings[i].text);
		json_object_array_add(list, finding);
	}
	json_object_object_add(record, "findings", list);
}

#define COUNTS(COUNT)                                                                              \
	COUNT(counts.lft_sets)                                                                     \
	COUNT(counts.lft_sets_physical)                                                            \
	COUNT(counts.lft_sets_vswitch)                                                             \
	COUNT(counts.pkey_sets)                                                                    \
	COUNT(counts.portinfo_sets)                                                                \
	COUNT(counts.resent)                                                                       \
	COUNT(counts.sm_elapsed_us)                                                                \
	COUNT(counts.copy_ms)                                                                      \
	COUNT(testimony.counts.processes)                                                          \
	COUNT(testimony.counts.qps)                                                                \
	COUNT(testimony.counts.replayed)                                                           \
	COUNT(testimony.counts.made_up)                                                            \
	COUNT(testimony.counts.errors)

/* "counts.lft_sets" is "lft_sets" in the journal. */
static const char *last_part(const char *path)
{
	return strrchr(path, '.') + 1;
}

static void end_write(struct json_object *record, const struct migration *m)
{
	findings_write(record, &m->testimony);
#define COUNT(path) json_put_number(record, last_part(#path), m->path);
	COUNTS(COUNT)
#undef COUNT
}

/* When the state was entered, since the migration was asked for. */
static uint64_t entered_at_us(const struct migration *m)
{
	if (!m->step_count)
		return 0;
	return m->steps[m->step_count - 1].started_us - m->steps[0].started_us;
}

int ledger_state_record(const struct migration *migration, int64_t overall_wall_us, char **text)
{
	struct json_object *record = record_new("state");

	json_put_number(record, "migration", migration->intent.id);
	json_put_number(record, "epoch", migration->intent.epoch);
	json_put_text(record, "state", migration_state_name(migration->state));
	json_put_number(record, "at_us", entered_at_us(migration));
	json_put_number(record, "sequence", migration->sequence);
	json_put_bool(record, "given_up", migration->given_up);
	json_put_bool(record, "vacated", migration->vacated);
	address_write(record, &migration->intent.address);
	json_put_guid(record, "source_switch", migration->intent.source.switch_guid);
	json_put_number(record, "source_switch_port", migration->intent.source.switch_port);
	if (overall_wall_us)
		json_put_number(record, "overall_us", (uint64_t)overall_wall_us);
	if (*migration->plan_hash)
		json_put_text(record, "plan", migration->plan_hash);
	if (needs_testimony(migration->state) && testimony_write(record, &migration->testimony)) {
		json_object_put(record);
		return -ENOMEM;
	}
	if (migration_ended(migration))
		end_write(record, migration);
	return text_of(record, text);
}

/* ---- reading ---- */

static int place_read(struct json_object *record, const char *name, struct place *place)
{
	struct json_object *object = json_read_object(record, name);

	if (!object || json_read_text(object, "host", place->host, sizeof(place->host)) ||
	        json_read_text(object, "slot", place->slot, sizeof(place->slot)) ||
	        json_read_guid(object, "switch_guid", &place->switch_guid) ||
	        json_read_unsigned(object, "switch_port", &place->switch_port))
		return -EBADMSG;
	return 0;
}

static int identity_read(struct json_object *record, const char *name, struct identity *identity)
{
	struct json_object *object = json_read_object(record, name);

	if (!object || json_read_guid(object, "node_guid", &identity->node_guid) ||
	        json_read_guid(object, "port_guid", &identity->port_guid))
		return -EBADMSG;
	return 0;
}

static int intent_replay(struct ledger *ledger, struct json_object *record)
{
	struct migration_intent intent = {0};
	struct ledger_entry *entry;
	uint64_t asked = 0;

	if (json_read_number(record, "migration", UINT64_MAX, &intent.id) ||
	        json_read_number(record, "epoch", UINT64_MAX, &intent.epoch) ||
	        json_read_text(record, "vm", intent.vm, sizeof(intent.vm)) ||
	        place_read(record, "source", &intent.source) ||
	        place_read(record, "destination", &intent.destination) ||
	        identity_read(record, "identity", &intent.identity) ||
	        identity_read(record, "other", &intent.other) ||
	        json_read_bool(record, "fabric", &intent.fabric) ||
	        json_read_bool(record, "force", &intent.force) ||
	        json_read_number(record, "asked_us", INT64_MAX, &asked) ||
	        ledger_find(ledger, intent.id))
		return -EBADMSG;
	json_read_bool(record, "reattach", &intent.reattach);
	intent.asked_wall_us = (int64_t)asked;
	entry = ledger_add(ledger, &intent);
	if (!entry)
		return -ENOMEM;
	entry->migration.state = STATE_LOCATING;
	return 0;
}

static int findings_replay(struct migration *m, struct json_object *record)
{
	struct json_object *list = json_object_object_get(record, "findings");
	size_t count = 0;

	if (json_object_is_type(list, json_type_array))
		count = json_object_array_length(list);
	for (size_t i = 0; i < count; i++) {
		struct json_object *finding = json_object_array_get_idx(list, i);
		const char *who = json_read_string(finding, "who");
		const char *reason = json_read_string(finding, "reason");
		const char *text = json_read_string(finding, "text");

		if (!who || !reason || !text || testimony_find(&m->testimony, who, reason, text))
			return -EBADMSG;
	}
	return 0;
}

static int end_replay(struct migration *m, struct json_object *record)
{
	unsigned value;

#define COUNT(path)                                                                                \
	if (!json_read_unsigned(record, last_part(#path), &value))                                 \
		m->path = value;
	COUNTS(COUNT)
#undef COUNT
	return findings_replay(m, record);
}

static int step_replay(struct migration *m, enum migration_state state, uint64_t at_us)
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

static int extras_replay(struct ledger_entry *entry, struct json_object *record)
{
	struct migration *m = &entry->migration;
	const char *said = json_read_string(record, "said");
	const char *gid = json_read_string(record, "gid");
	unsigned number;
	uint64_t wide;
	int err = 0;

	if (!json_read_unsigned(record, "sequence", &number))
		m->sequence = number;
	if (!json_read_unsigned(record, "lid", &number))
		m->intent.address.lid = (uint16_t)number;
	if (gid && gid_parse(gid, m->intent.address.gid))
		return -EBADMSG;
	if (!json_read_guid(record, "source_switch", &wide))
		m->intent.source.switch_guid = wide;
	if (!json_read_unsigned(record, "source_switch_port", &number))
		m->intent.source.switch_port = number;
	if (!json_read_number(record, "overall_us", INT64_MAX, &wide))
		entry->overall_wall_us = (int64_t)wide;
	json_read_bool(record, "given_up", &m->given_up);
	json_read_bool(record, "vacated", &m->vacated);
	json_read_text(record, "plan", m->plan_hash, sizeof(m->plan_hash));
	if (said)
		err = testimony_unpack(&m->testimony, m->intent.vm, said);
	if (!err && migration_ended(m))
		err = end_replay(m, record);
	return err;
}

static int state_replay(struct ledger *ledger, struct json_object *record)
{
	uint64_t id, epoch, at_us;
	struct ledger_entry *entry;
	enum migration_state state;
	char name[MIGRATION_NAME_BYTES];
	int err;

	if (json_read_number(record, "migration", UINT64_MAX, &id) ||
	        json_read_number(record, "epoch", UINT64_MAX, &epoch) ||
	        json_read_number(record, "at_us", INT64_MAX, &at_us) ||
	        json_read_text(record, "state", name, sizeof(name)) ||
	        migration_state_parse(name, &state))
		return -EBADMSG;
	entry = ledger_find(ledger, id);
	if (!entry)
		return -EBADMSG;
	err = step_replay(&entry->migration, state, at_us);
	if (err)
		return err;
	/* Who looked where things stand and died over it knows no more than before. */
	if (state != STATE_RECOVERING)
		entry->migration.state = state;
	entry->migration.intent.epoch = epoch;
	entry->changes++;
	if (epoch > ledger->epoch)
		ledger->epoch = epoch;
	return extras_replay(entry, record);
}

int ledger_replay(struct ledger *ledger, const char *text)
{
	struct json_object *record = json_read_whole(text, strlen(text));
	const char *kind = record ? json_read_string(record, "kind") : NULL;
	uint64_t epoch;
	int err = -EBADMSG;

	if (kind && !strcmp(kind, "epoch")) {
		err = json_read_number(record, "epoch", UINT64_MAX, &epoch) ? -EBADMSG : 0;
		if (!err && epoch > ledger->epoch)
			ledger->epoch = epoch;
	} else if (kind && !strcmp(kind, "intent")) {
		err = intent_replay(ledger, record);
	} else if (kind && !strcmp(kind, "state")) {
		err = state_replay(ledger, record);
	}
	json_object_put(record);
	return err;
}
