/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/evacuation_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"

enum { DESTINATIONS_MAX = 256 };

/* ---- what is asked ---- */

/* Names of hosts have no spaces (notifier/relay/relay_children.c), and no zeros. */
static bool name_take(struct json_object *value, char name[MIGRATION_NAME_BYTES])
{
	const char *text =
	        json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	size_t length = strlen(text);

	if (!length || length >= MIGRATION_NAME_BYTES || strchr(text, ' ') ||
	        length != (size_t)json_object_get_string_len(value))
		return false;
	strcpy(name, text);
	return true;
}

static const char *destinations_read(struct json_object *list, struct evacuation_wish *wish)
{
	size_t count;

	if (wish->to || !json_object_is_type(list, json_type_array) ||
	        json_object_array_length(list) > DESTINATIONS_MAX)
		return "to has to be a list of names of hosts";
	count = json_object_array_length(list);
	wish->to = calloc(count + 1, sizeof(*wish->to));
	if (!wish->to)
		return "there is no memory";
	for (size_t i = 0; i < count; i++)
		if (!name_take(json_object_array_get_idx(list, i), wish->to[wish->to_count++]))
			return "to has to be a list of names of hosts";
	return NULL;
}

static const char *member_read(
        struct json_object *body, const char *name, struct evacuation_wish *wish)
{
	struct json_object *value = json_object_object_get(body, name);

	if (!strcmp(name, "host"))
		return name_take(value, wish->host) ? NULL : "host has to be the name of a host";
	if (!strcmp(name, "to"))
		return destinations_read(value, wish);
	if (!strcmp(name, "force"))
		return json_read_bool(body, name, &wish->force) ? "force has to be true or false"
		                                                : NULL;
	return "members are host, to and force";
}

static const char *wish_read(struct json_object *body, struct evacuation_wish *wish)
{
	json_object_object_foreach(body, name, value)
	{
		const char *wrong = member_read(body, name, wish);

		(void)value;
		if (wrong)
			return wrong;
	}
	return *wish->host ? NULL : "host has to be the name of a host";
}

const char *evacuation_wish_read(const char *body, size_t length, struct evacuation_wish *wish)
{
	struct json_object *object = json_read_whole(body, length);
	const char *wrong = "the body is not a JSON object";

	*wish = (struct evacuation_wish){0};
	if (object)
		wrong = wish_read(object, wish);
	json_object_put(object);
	if (wrong) {
		free(wish->to);
		wish->to = NULL;
	}
	return wrong;
}

/* ---- what is told ---- */

static struct json_object *names_of(const char *names)
{
	struct json_object *list = json_object_new_array();

	while (*names) {
		size_t length = strcspn(names, " ");

		json_object_array_add(list, json_object_new_string_len(names, (int)length));
		names += length + (names[length] == ' ');
	}
	return list;
}

static struct json_object *vms_of(const struct evacuation *e)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < e->count; i++) {
		struct json_object *object = json_object_new_object();
		const struct evacuee *vm = &e->vms[i];

		json_put_text(object, "vm", vm->vm);
		json_put_text(object, "state", evacuee_state_name(vm->state));
		if (vm->migration)
			json_put_number(object, "migration", vm->migration);
		if (*vm->reason) {
			json_put_text(object, "reason", vm->reason);
			json_put_text(object, "text", vm->text);
		}
		json_object_array_add(list, object);
	}
	return list;
}

static const char *outcome_of(const struct evacuation *e)
{
	if (evacuation_count(e, EVACUEE_DONE) == e->count)
		return "done";
	return e->aborted ? "aborted" : "incomplete";
}

struct json_object *evacuation_tell(const struct evacuation *e, bool short_form)
{
	struct json_object *object = json_object_new_object();

	json_put_number(object, "id", e->id);
	json_put_text(object, "host", e->host);
	json_object_object_add(object, "to", names_of(e->destinations));
	json_put_bool(object, "force", e->force);
	json_put_number(object, "asked_us", (uint64_t)e->asked_wall_us);
	json_put_bool(object, "ended", e->ended);
	if (e->ended)
		json_put_text(object, "outcome", outcome_of(e));
	json_put_number(object, "changes", e->changes);
	json_put_number(object, "total", e->count);
	for (int state = 0; state < EVACUEE_STATE_COUNT; state++)
		json_put_number(object, evacuee_state_name(state), evacuation_count(e, state));
	if (!short_form)
		json_object_object_add(object, "vms", vms_of(e));
	return object;
}

struct json_object *evacuations_tell(const struct evacuations *evacuations)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (const struct evacuation *e = evacuations->newest; e; e = e->older)
		json_object_array_add(list, evacuation_tell(e, true));
	json_object_object_add(object, "evacuations", list);
	return object;
}
