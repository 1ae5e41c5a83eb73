/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <inttypes.h>
#include <stdio.h>

#include "sm-side/json_read.h"
#include "sm-side/plan/words.h"
#include "sm-side/plugin/sm_answer.h"

struct json_object *sm_answer(struct json_object *id, enum refusal refusal, const char *text)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "id", id);
	json_put_bool(answer, "ok", refusal == REFUSAL_NONE);
	if (refusal) {
		json_put_text(answer, "reason", refusal_name(refusal));
		json_put_text(answer, "text", text ? text : refusal_text(refusal));
	}
	return answer;
}

static void fault_members(struct json_object *about, const struct view_fault *fault)
{
	json_put_text(about, "fault", view_fault_name(fault->kind));
	if (fault->guid)
		json_put_guid(about, "guid", fault->guid);
	if (fault->other_guid)
		json_put_guid(about, "other_guid", fault->other_guid);
	if (fault->port)
		json_put_number(about, "port", fault->port);
	if (fault->lid)
		json_put_number(about, "lid", fault->lid);
}

void sm_answer_fault(
        struct json_object *answer, enum refusal refusal, const struct view_fault *fault)
{
	struct json_object *about;
	char what[128], text[384];

	if (!refusal || fault->kind == VIEW_SOUND)
		return;
	view_fault_text(fault, what, sizeof(what));
	snprintf(text, sizeof(text), "%s: %s", refusal_text(refusal), what);
	json_put_text(answer, "text", text);
	about = json_object_new_object();
	fault_members(about, fault);
	json_object_object_add(answer, "about", about);
}

void sm_answer_counts(struct json_object *answer, const struct plan_counts *counts)
{
	json_put_number(answer, "lft_sets", counts->lft_physical + counts->lft_vswitch);
	json_put_number(answer, "lft_sets_physical", counts->lft_physical);
	json_put_number(answer, "lft_sets_vswitch", counts->lft_vswitch);
	json_put_number(answer, "pkey_sets", counts->pkey);
	json_put_number(answer, "portinfo_sets", counts->portinfo);
	json_put_number(answer, "switchinfo_sets", counts->switchinfo);
	json_put_number(answer, "groups", counts->groups);
}

void sm_answer_unheard(
        struct json_object *answer, const struct notice *notices, size_t count, const bool *heard)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		if (!heard[i])
			json_object_array_add(list, json_object_new_int(notices[i].lid));
	json_object_object_add(answer, "unheard", list);
}

void sm_answer_hash(struct json_object *answer, uint64_t hash)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, hash);
	json_put_text(answer, "hash", text);
}

static struct json_object *identity_object(const struct plan_identity *identity)
{
	struct json_object *object = json_object_new_object();

	json_put_number(object, "lid", identity->lid);
	json_put_guid(object, "port_guid", identity->port_guid);
	json_put_guid(object, "node_guid", identity->node_guid);
	return object;
}

static struct json_object *place_object(struct view_place place)
{
	struct json_object *object = json_object_new_object();

	json_put_guid(object, "switch_guid", place.switch_guid);
	json_put_number(object, "switch_port", place.port);
	return object;
}

static void put_block(struct json_object *into, const char *name, const uint8_t *bytes)
{
	char text[LFT_BLOCK_LIDS * 2 + 1];

	for (unsigned i = 0; i < LFT_BLOCK_LIDS; i++)
		snprintf(text + (size_t)i * 2, 3, "%02x", bytes[i]);
	json_put_text(into, name, text);
}

static struct json_object *change_object(const struct plan_change *change)
{
	struct json_object *object = json_object_new_object();

	json_put_guid(object, "switch_guid", change->switch_guid);
	json_put_text(object, "kind", change->is_vswitch ? "vswitch" : "physical");
	json_put_number(object, "block", change->block);
	json_put_number(object, "wave", change->wave);
	put_block(object, "before", change->before);
	put_block(object, "after", change->after);
	return object;
}

/* Who changes places, and which. */
static void put_move(struct json_object *into, const struct plan_move *move)
{
	json_object_object_add(into, "vm", identity_object(&move->vm));
	if (move->kind == MOVE_SWAP)
		json_object_object_add(into, "other", identity_object(&move->other));
	if (move->from.switch_guid)
		json_object_object_add(into, "from", place_object(move->from));
	if (move->to.switch_guid)
		json_object_object_add(into, "to", place_object(move->to));
}

static struct json_object *moves_list(const struct plan *plan)
{
	struct json_object *moves = json_object_new_array();

	for (uint32_t i = 0; i < plan->move_count; i++) {
		struct json_object *move = json_object_new_object();

		json_put_text(move, "kind", plan_kind_words[plan->moves[i].kind]);
		put_move(move, &plan->moves[i]);
		json_object_array_add(moves, move);
	}
	return moves;
}

static struct json_object *changes_list(const struct plan_sets *sets)
{
	struct json_object *changes = json_object_new_array();

	for (uint32_t i = 0; i < sets->change_count; i++)
		json_object_array_add(changes, change_object(&sets->changes[i]));
	return changes;
}

void sm_answer_paths(struct json_object *answer, const struct plan_path *paths, uint32_t count,
        const uint8_t *sl)
{
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < count; i++) {
		struct json_object *row = json_object_new_object();

		json_put_number(row, "local_lid", paths[i].local_lid);
		json_put_number(row, "remote_lid", paths[i].remote_lid);
		json_put_number(row, "mtu", paths[i].mtu);
		json_put_number(row, "rate", paths[i].rate);
		if (sl)
			json_put_number(row, "sl", *sl);
		json_object_array_add(list, row);
	}
	json_object_object_add(answer, "paths", list);
}

void sm_answer_plan(struct json_object *answer, const struct plan *plan, bool with_changes)
{
	sm_answer_hash(answer, plan->hash);
	json_put_number(answer, "generation", plan->generation);
	json_put_text(answer, "order", plan_order_words[plan->order]);
	json_put_text(answer, "reach", plan_reach_words[plan->reach]);
	if (plan->move_count == 1)
		put_move(answer, &plan->moves[0]);
	json_object_object_add(answer, "moves", moves_list(plan));
	sm_answer_counts(answer, &plan->counts);
	json_put_number(answer, "waves", plan->sets.wave_count);
	json_put_number(answer, "splits", plan->sets.splits);
	if (with_changes)
		json_object_object_add(answer, "changes", changes_list(&plan->sets));
}
