/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/api_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"
#include "sm-side/api/plan_json.h"

static const char *member_check(struct json_object *body)
{
	static const char *const members[] = {"vm", "to", "force", "mode", "order", "reach"};

	json_object_object_foreach(body, name, value)
	{
		bool known = false;

		(void)value;
		for (size_t i = 0; i < ARRAY_SIZE(members); i++)
			known |= !strcmp(name, members[i]);
		if (!known)
			return "members are vm, to, force, mode, order and reach";
	}
	return NULL;
}

static const char *word_read(struct json_object *body, const char *name,
        const char *(*check)(const char *word), char word[PLAN_WORD_BYTES])
{
	const char *text = json_read_string(body, name), *wrong;

	*word = '\0';
	if (!json_object_object_get_ex(body, name, NULL))
		return NULL;
	wrong = check(text ? text : "");
	if (!wrong)
		snprintf(word, PLAN_WORD_BYTES, "%s", text);
	return wrong;
}

static const char *plan_read(struct json_object *body, struct api_migrate *migrate)
{
	const char *wrong = word_read(body, "order", plan_order_check, migrate->order);

	return wrong ? wrong : word_read(body, "reach", plan_reach_check, migrate->reach);
}

static const char *mode_read(struct json_object *body, bool *called)
{
	const char *mode = json_read_string(body, "mode");

	*called = mode && !strcmp(mode, "called");
	if (json_object_object_get_ex(body, "mode", NULL) &&
	        (!mode || (!*called && strcmp(mode, "driven"))))
		return "mode has to be driven or called";
	return member_check(body);
}

static const char *migrate_read(struct json_object *body, struct api_migrate *migrate)
{
	const char *wrong;
	int err;

	if (!body)
		return "the body is not a JSON object";
	if (json_read_text(body, "vm", migrate->vm, sizeof(migrate->vm)) || !*migrate->vm)
		return "vm has to be the name of a VM";
	if (json_read_text(body, "to", migrate->to, sizeof(migrate->to)) || !*migrate->to)
		return "to has to be the name of a host";
	migrate->force = false;
	err = json_read_bool(body, "force", &migrate->force);
	if (err && err != -ENOENT)
		return "force has to be true or false";
	wrong = plan_read(body, migrate);
	return wrong ? wrong : mode_read(body, &migrate->called);
}

const char *api_migrate_read(const char *body, size_t length, struct api_migrate *migrate)
{
	struct json_object *object = json_read_whole(body, length);
	const char *wrong = migrate_read(object, migrate);

	json_object_put(object);
	return wrong;
}

static const char *report_read(struct json_object *body, enum migration_report *report)
{
	const char *step = body ? json_read_string(body, "step") : NULL;

	if (!body)
		return "the body is not a JSON object";
	if (!step || migration_report_parse(step, report))
		return "step has to be detached, moved, attached or failed";
	return json_object_object_length(body) == 1 ? NULL : "step is the only member";
}

const char *api_report_read(const char *body, size_t length, enum migration_report *report)
{
	struct json_object *object = json_read_whole(body, length);
	const char *wrong = report_read(object, report);

	json_object_put(object);
	return wrong;
}

/* ---- migrations ---- */

static struct json_object *steps_of(const struct migration *m)
{
	struct json_object *list = json_object_new_array();
	uint64_t start = m->step_count ? m->steps[0].started_us : 0;

	for (size_t i = 0; i < m->step_count; i++) {
		const struct migration_step *step = &m->steps[i];
		struct json_object *object = json_object_new_object();

		json_put_text(object, "state", migration_state_name(step->state));
		json_put_number(object, "started_us", step->started_us - start);
		if (step->ended_us)
			json_put_number(object, "ended_us", step->ended_us - start);
		json_object_array_add(list, object);
	}
	return list;
}

static struct json_object *counts_of(const struct migration *m)
{
	struct json_object *object = json_object_new_object();

	json_put_number(object, "lft_sets", m->counts.lft_sets);
	json_put_number(object, "lft_sets_physical", m->counts.lft_sets_physical);
	json_put_number(object, "lft_sets_vswitch", m->counts.lft_sets_vswitch);
	json_put_number(object, "lft_sets_shared", m->counts.lft_sets_shared);
	json_put_number(object, "pkey_sets", m->counts.pkey_sets);
	json_put_number(object, "portinfo_sets", m->counts.portinfo_sets);
	json_put_number(object, "resent", m->counts.resent);
	json_put_number(object, "sm_elapsed_us", m->counts.sm_elapsed_us);
	json_put_number(object, "copy_ms", m->counts.copy_ms);
	json_put_number(object, "processes", m->testimony.counts.processes);
	json_put_number(object, "qps", m->testimony.counts.qps);
	json_put_number(object, "replayed", m->testimony.counts.replayed);
	json_put_number(object, "made_up", m->testimony.counts.made_up);
	json_put_number(object, "errors", m->testimony.counts.errors);
	return object;
}

static struct json_object *refusals_of(const struct testimony *testimony)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < testimony->finding_count; i++) {
		struct json_object *object = json_object_new_object();

		json_put_text(object, "who", testimony->findings[i].who);
		json_put_text(object, "reason", testimony->findings[i].reason);
		json_put_text(object, "text", testimony->findings[i].text);
		json_object_array_add(list, object);
	}
	return list;
}

static void place_put(struct json_object *object, const char *host_name, const char *slot_name,
        const struct place *place)
{
	json_put_text(object, host_name, place->host);
	json_put_text(object, slot_name, place->slot);
}

/* The VFs beside the one that is told of. */
static struct json_object *others_of(const struct migration_intent *intent)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 1; i < migration_vf_count(intent); i++) {
		const struct moving_vf *vf = &intent->vfs[i];
		struct json_object *object = json_object_new_object();

		json_put_text(object, "from_slot", vf->source.slot);
		json_put_text(object, "to_slot", vf->destination.slot);
		json_put_number(object, "lid", vf->address.lid);
		json_object_array_add(list, object);
	}
	return list;
}

/* That a VM without LIDs is known by. */
static struct json_object *gids_of(const struct migration *m)
{
	struct json_object *list = json_object_new_array();
	char text[GID_SHOWN_BYTES];

	for (size_t i = 0; i < m->gid_count; i++) {
		gid_show(m->gids[i], text);
		json_object_array_add(list, json_object_new_string(text));
	}
	return list;
}

struct json_object *api_migration(const struct ledger_entry *entry, bool short_form)
{
	const struct migration *m = &entry->migration;
	struct json_object *object = json_object_new_object();

	json_put_number(object, "id", m->intent.id);
	json_put_number(object, "epoch", m->intent.epoch);
	json_put_text(object, "vm", m->intent.vm);
	place_put(object, "from", "from_slot", &m->intent.source);
	place_put(object, "to", "to_slot", &m->intent.destination);
	json_put_number(object, "asked_us", (uint64_t)m->intent.asked_wall_us);
	json_put_text(object, "state", migration_state_name(m->state));
	json_put_text(object, "meaning", migration_state_meaning(m->state));
	json_put_bool(object, "ended", migration_ended(m));
	if (migration_ended(m))
		json_put_text(object, "outcome", migration_state_name(m->state));
	json_put_number(object, "changes", entry->changes);
	json_put_text(object, "mode", m->intent.called ? "called" : "driven");
	json_put_text(object, "kind", migration_kind(&m->intent));
	if (m->awaited_report)
		json_put_text(object, "awaits", migration_report_name(m->awaited_report));
	if (m->waits_turn && m->busy_with)
		json_put_number(object, "waits_for", m->busy_with);
	if (short_form)
		return object;
	json_put_number(
	        object, "lid", migration_is_by_gids(&m->intent) ? 0 : m->intent.address.lid);
	if (migration_is_by_gids(&m->intent))
		json_object_object_add(object, "gids", gids_of(m));
	json_object_object_add(object, "others", others_of(&m->intent));
	json_put_bool(object, "force", m->intent.force);
	json_put_text(object, "order", *m->intent.order ? m->intent.order : "fast");
	json_put_text(object, "reach", *m->intent.reach ? m->intent.reach : "deterministic");
	json_put_bool(object, "committed", m->committed);
	json_object_object_add(object, "steps", steps_of(m));
	json_object_object_add(object, "counts", counts_of(m));
	json_object_object_add(object, "refusals", refusals_of(&m->testimony));
	return object;
}

struct json_object *api_migrations(const struct ledger *ledger)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (const struct ledger_entry *e = ledger->newest; e; e = e->older)
		json_object_array_add(list, api_migration(e, true));
	json_object_object_add(object, "migrations", list);
	return object;
}

/* ---- what there is ---- */

static struct json_object *slot_of(const Tether__Slot *slot)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "name", slot->name);
	json_put_text(object, "vm", slot->vm);
	json_put_guid(object, "node_guid", slot->node_guid);
	json_put_guid(object, "port_guid", slot->port_guid);
	json_put_guid(object, "switch_guid", slot->switch_guid);
	json_put_number(object, "switch_port", slot->switch_port);
	json_put_bool(object, "dynamic", slot->dynamic);
	return object;
}

struct json_object *api_hypervisors(const struct inventory *inventory)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (const struct inventory_host *h = inventory->hosts; h; h = h->next) {
		struct json_object *host = json_object_new_object();
		struct json_object *slots = json_object_new_array();

		json_put_text(host, "name", h->name);
		json_put_bool(host, "connected", h->connected);
		for (size_t i = 0; h->said && i < h->said->n_slots; i++)
			json_object_array_add(slots, slot_of(h->said->slots[i]));
		json_object_object_add(host, "slots", slots);
		json_object_array_add(list, host);
	}
	json_object_object_add(object, "hypervisors", list);
	return object;
}

struct json_object *api_refusal(const char *reason, const char *text)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "reason", reason);
	json_put_text(object, "text", text);
	return object;
}
