/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/plan_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"

/* ---- what is asked ---- */

static bool word_is_one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(*words, word))
		words++;
	return *words;
}

static bool text_set(char *into, size_t size, const char *text)
{
	if (!*text || strlen(text) >= size)
		return false;
	strcpy(into, text);
	return true;
}

const char *plan_order_check(const char *order)
{
	static const char *const orders[] = {"fast", "consistent", "drop-first", NULL};

	return word_is_one_of(order, orders) ? NULL
	                                     : "order has to be fast, consistent or drop-first";
}

const char *plan_reach_check(const char *reach)
{
	static const char *const reaches[] = {"deterministic", "minimum", NULL};

	return word_is_one_of(reach, reaches) ? NULL : "reach has to be deterministic or minimum";
}

static const char *word_take(
        char word[PLAN_WORD_BYTES], const char *value, const char *(*check)(const char *word))
{
	const char *wrong = check(value);

	if (!wrong)
		snprintf(word, PLAN_WORD_BYTES, "%s", value);
	return wrong;
}

const char *plan_question_put(struct plan_question *q, const char *name, const char *value)
{
	if (!strcmp(name, "vm"))
		return text_set(q->vm, sizeof(q->vm), value) ? NULL
		                                             : "vm has to be the name of a VM";
	if (!strcmp(name, "to"))
		return text_set(q->to, sizeof(q->to), value) ? NULL
		                                             : "to has to be the name of a host";
	if (!strcmp(name, "order"))
		return word_take(q->order, value, plan_order_check);
	if (!strcmp(name, "reach"))
		return word_take(q->reach, value, plan_reach_check);
	return "members are vm, to, order and reach";
}

const char *plan_question_lacks(const struct plan_question *q)
{
	if (!*q->vm)
		return "vm has to be the name of a VM";
	return *q->to ? NULL : "to has to be the name of a host";
}

static const char *question_of(struct json_object *body, struct plan_question *q)
{
	const char *wrong = NULL;

	json_object_object_foreach(body, name, value)
	{
		const char *text = json_read_string(body, name);

		(void)value;
		wrong = text ? plan_question_put(q, name, text) : "members are texts";
		if (wrong)
			return wrong;
	}
	return plan_question_lacks(q);
}

const char *plan_question_read(const char *body, size_t length, struct plan_question *q)
{
	struct json_object *object = json_read_whole(body, length);
	const char *wrong = "the body is not a JSON object";

	*q = (struct plan_question){0};
	if (object)
		wrong = question_of(object, q);
	json_object_put(object);
	return wrong;
}

struct json_object *plan_request(
        const struct migration_intent *intent, const struct plan_question *q)
{
	struct json_object *request = json_object_new_object();

	json_put_text(request, "op", "plan");
	if (intent->dynamic)
		json_put_text(request, "kind", "copy");
	json_put_guid(request, "vm_port_guid", intent->identity.port_guid);
	json_put_guid(request, "vm_node_guid", intent->identity.node_guid);
	json_put_guid(request, "to_switch_guid", intent->destination.switch_guid);
	json_put_number(request, "to_switch_port", intent->destination.switch_port);
	if (*q->order)
		json_put_text(request, "order", q->order);
	if (*q->reach)
		json_put_text(request, "reach", q->reach);
	return request;
}

/* ---- what is told ---- */

struct written {
	uint64_t switch_guid;
	unsigned block;
};

static int written_order(const void *left, const void *right)
{
	const struct written *a = left, *b = right;

	if (a->switch_guid != b->switch_guid)
		return a->switch_guid < b->switch_guid ? -1 : 1;
	return a->block < b->block ? -1 : a->block > b->block;
}

/* A block may be written more than once. */
static void put_distinct(struct json_object *into, struct written *written, size_t count)
{
	uint64_t switches = 0, blocks = 0;

	qsort(written, count, sizeof(*written), written_order);
	for (size_t i = 0; i < count; i++) {
		switches += !i || written[i].switch_guid != written[i - 1].switch_guid;
		blocks += !i || written_order(&written[i], &written[i - 1]);
	}
	json_put_number(into, "switches", switches);
	json_put_number(into, "blocks", blocks);
}

static void put_extent(struct json_object *into, struct json_object *changes)
{
	size_t count = json_object_is_type(changes, json_type_array)
	                       ? json_object_array_length(changes)
	                       : 0;
	CLEANUP_FREE struct written *written = calloc(count + 1, sizeof(*written));

	if (!written)
		return;
	for (size_t i = 0; i < count; i++) {
		struct json_object *change = json_object_array_get_idx(changes, i);

		json_read_guid(change, "switch_guid", &written[i].switch_guid);
		json_read_unsigned(change, "block", &written[i].block);
	}
	put_distinct(into, written, count);
}

static void pass(struct json_object *into, struct json_object *answer, const char *name)
{
	struct json_object *value;

	if (json_object_object_get_ex(answer, name, &value))
		json_object_object_add(into, name, json_object_get(value));
}

static void put_word(struct json_object *into, struct json_object *answer, const char *name,
        const char *asked, const char *otherwise)
{
	const char *said = json_read_string(answer, name);

	if (!said)
		said = *asked ? asked : otherwise;
	json_put_text(into, name, said);
}

static void put_place(struct json_object *into, const char *host_name, const char *slot_name,
        const struct place *place)
{
	json_put_text(into, host_name, place->host);
	json_put_text(into, slot_name, place->slot);
}

/* A plugin that orders nothing says no waves: all of it is one. */
static void put_waves(struct json_object *into, struct json_object *answer)
{
	unsigned waves = 1, splits = 0;

	json_read_unsigned(answer, "waves", &waves);
	json_read_unsigned(answer, "splits", &splits);
	json_put_number(into, "waves", waves);
	json_put_number(into, "splits", splits);
}

struct json_object *plan_tell(const struct migration_intent *intent, const struct plan_question *q,
        struct json_object *answer)
{
	static const char *const passed[] = {"hash", "generation", "lft_sets", "lft_sets_physical",
	        "lft_sets_vswitch", "pkey_sets", "portinfo_sets", "switchinfo_sets", "groups",
	        "stability", "sl", "moves", "changes"};
	struct json_object *told = json_object_new_object();
	struct json_object *vm = json_read_object(answer, "vm");
	unsigned lid = 0;

	json_put_text(told, "vm", intent->vm);
	if (vm && !json_read_unsigned(vm, "lid", &lid))
		json_put_number(told, "lid", lid);
	put_place(told, "from", "from_slot", &intent->source);
	put_place(told, "to", "to_slot", &intent->destination);
	json_put_text(told, "kind", migration_kind(intent));
	put_word(told, answer, "order", q->order, "fast");
	put_word(told, answer, "reach", q->reach, "deterministic");
	put_waves(told, answer);
	put_extent(told, json_object_object_get(answer, "changes"));
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		pass(told, answer, passed[i]);
	return told;
}
