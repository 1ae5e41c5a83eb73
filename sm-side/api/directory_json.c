/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/directory_json.h"

#include <string.h>

#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"

/* The list @name of @object, made where there is none. */
static struct json_object *list_in(struct json_object *object, const char *name)
{
	struct json_object *list = json_object_object_get(object, name);

	if (list)
		return list;
	list = json_object_new_array();
	json_object_object_add(object, name, list);
	return list;
}

static void disputed_add(void *context, const struct directory_claim *claim)
{
	json_object_array_add(list_in(context, "disputed"), json_object_new_string(claim->host));
}

static void gid_add(void *context, const char *vm, const uint8_t gid[GID_BYTES])
{
	char text[GID_SHOWN_BYTES];

	gid_show(gid, text);
	json_object_array_add(list_in(context, vm), json_object_new_string(text));
}

struct json_object *directory_json_gids(const struct gid_book *gids, const char *vm)
{
	struct json_object *by_vm = json_object_new_object();

	gid_book_each(gids, vm, gid_add, by_vm);
	return by_vm;
}

void directory_json_vm(
        struct json_object *vm, const struct directory *directory, struct json_object *gids)
{
	const char *name = json_read_string(vm, "name");
	struct json_object *own = name ? json_object_object_get(gids, name) : NULL;

	if (name)
		directory_vm_claims(directory, name, disputed_add, vm);
	if (own)
		json_object_object_add(vm, "gids", json_object_get(own));
}

static const char *thing_name(enum directory_thing thing)
{
	static const char *const names[] = {[DIRECTORY_VM] = "vm",
	        [DIRECTORY_PLACE] = "slot-place",
	        [DIRECTORY_GUID] = "slot-guid"};

	return names[thing];
}

/* @context: the hosts' objects by name. */
static void refused_add(void *context, const struct directory_claim *claim)
{
	struct json_object *agent = json_object_object_get(context, claim->host);
	struct json_object *refused = agent ? json_object_new_object() : NULL;

	if (!agent)
		return;
	json_put_text(refused, "what", thing_name(claim->thing));
	json_put_text(refused, "name", claim->name);
	json_put_text(refused, "holder", claim->holder);
	json_object_array_add(list_in(agent, "not_believed"), refused);
}

void directory_json_agents(struct json_object *agents, const struct directory *directory)
{
	struct json_object *by_name = json_object_new_object();

	for (size_t i = 0; i < json_object_array_length(agents); i++) {
		struct json_object *agent = json_object_array_get_idx(agents, i);

		if (!strcmp(json_read_string(agent, "role"), "host"))
			json_object_object_add(
			        by_name, json_read_string(agent, "name"), json_object_get(agent));
	}
	directory_claims(directory, refused_add, by_name);
	json_object_put(by_name);
}

struct json_object *directory_json_released(const char *vm, const char *host)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "name", vm);
	json_put_text(object, "host", host);
	return object;
}
