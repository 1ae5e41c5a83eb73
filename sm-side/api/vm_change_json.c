/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/vm_change_json.h"

#include <string.h>

#include "notifier/base/name.h"
#include "sm-side/json_read.h"

enum { LID_MAX = 0xbfff };

/* ---- what is asked ---- */

static const char *name_read(
        struct json_object *body, const char *member, char name[MIGRATION_NAME_BYTES])
{
	if (json_read_text(body, member, name, MIGRATION_NAME_BYTES) || !*name)
		return "name, host and slot have to be names";
	return NULL;
}

static bool is_guid(uint64_t guid)
{
	return guid && guid != UINT64_MAX;
}

static const char *guid_read(struct json_object *body, const char *member, uint64_t *guid)
{
	return json_read_guid(body, member, guid) || !is_guid(*guid)
	               ? "node_guid and port_guid have to be GUIDs"
	               : NULL;
}

static const char *lid_read(struct json_object *body, struct vm_wish *wish)
{
	uint64_t lid = 0;

	if (json_read_number(body, "lid", LID_MAX, &lid) || !lid)
		return "lid has to be a number from 1 to 49151";
	wish->lid = (uint16_t)lid;
	return NULL;
}

static const char *member_read(struct json_object *body, const char *name, struct vm_wish *wish)
{
	if (!strcmp(name, "name"))
		return name_read(body, name, wish->name);
	if (!strcmp(name, "host"))
		return name_read(body, name, wish->host);
	if (!strcmp(name, "slot"))
		return name_read(body, name, wish->slot);
	if (!strcmp(name, "node_guid"))
		return guid_read(body, name, &wish->identity.node_guid);
	if (!strcmp(name, "port_guid"))
		return guid_read(body, name, &wish->identity.port_guid);
	if (!strcmp(name, "lid"))
		return lid_read(body, wish);
	return "members are name, host, slot, node_guid, port_guid and lid";
}

static const char *wish_read(struct json_object *body, struct vm_wish *wish)
{
	json_object_object_foreach(body, name, value)
	{
		const char *wrong = member_read(body, name, wish);

		(void)value;
		if (wrong)
			return wrong;
	}
	if (!*wish->host || !name_is_fit(wish->name))
		return "name and host have to be there; a VM's name has up to 64 letters, digits "
		       "and _.-:@";
	if (!wish->identity.node_guid != !wish->identity.port_guid)
		return "node_guid and port_guid come together";
	return NULL;
}

const char *vm_wish_read(const char *body, size_t length, struct vm_wish *wish)
{
	struct json_object *object = json_read_whole(body, length);
	const char *wrong = "the body is not a JSON object";

	*wish = (struct vm_wish){0};
	if (object)
		wrong = wish_read(object, wish);
	json_object_put(object);
	return wrong;
}

/* ---- what is told ---- */

struct json_object *vm_change_tell(const struct vm_change *change)
{
	struct json_object *object = json_object_new_object();
	const struct vm_change_intent *intent = &change->intent;

	json_put_number(object, "id", intent->id);
	json_put_text(object, "kind", intent->destroys ? "destroy" : "create");
	json_put_text(object, "host", intent->place.host);
	json_put_text(object, "slot", intent->place.slot);
	json_put_guid(object, "node_guid", intent->identity.node_guid);
	json_put_guid(object, "port_guid", intent->identity.port_guid);
	json_put_bool(object, "dynamic", intent->dynamic);
	if (change->lid)
		json_put_number(object, "lid", change->lid);
	json_put_number(object, "asked_us", (uint64_t)intent->asked_wall_us);
	json_put_text(object, "state", change_state_name(change->state));
	json_put_text(object, "meaning", change_state_meaning(change->state));
	json_put_bool(object, "ended", vm_change_ended(change));
	if (vm_change_ended(change))
		json_put_text(object, "outcome", vm_change_outcome(change));
	json_put_number(object, "changes", change->changes);
	if (*change->reason) {
		json_put_text(object, "who", change->who);
		json_put_text(object, "reason", change->reason);
		json_put_text(object, "text", change->text);
	}
	return object;
}

static bool is_moving(const struct under_way *under_way, const char *vm)
{
	for (size_t i = 0; i < under_way->count; i++)
		if (!strcmp(under_way->migrations[i]->intent.vm, vm))
			return true;
	return false;
}

/* Of one that some host has, with or without a VF. */
static const char *state_of(const struct under_way *under_way, const char *vm, const char *slot)
{
	const struct vm_change *change = vm_changes_of_vm(under_way->changes, vm);

	if (change)
		return change->intent.destroys ? "destroying" : "creating";
	if (is_moving(under_way, vm))
		return "moving";
	return *slot ? "present" : "without-vf";
}

static struct json_object *vm_object(const struct under_way *under_way, const char *name,
        const char *host, const char *slot, bool connected)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "name", name);
	json_put_text(object, "host", host);
	json_put_text(object, "slot", slot);
	json_put_bool(object, "connected", connected);
	json_put_text(object, "state", state_of(under_way, name, slot));
	return object;
}

static void vms_of_host(struct json_object *list, const struct inventory *inventory,
        const struct under_way *under_way, const struct inventory_host *h)
{
	for (size_t i = 0; h->said && i < h->said->n_vms; i++) {
		const Tether__HostVm *vm = h->said->vms[i];
		const struct inventory_host *at = NULL;

		/* On its way both ends may have it; one of them counts. */
		if (inventory_vm(inventory, vm->name, &at) != vm)
			continue;
		json_object_array_add(
		        list, vm_object(under_way, vm->name, h->name, vm->slot, h->connected));
	}
}

/* Its host has not said yet that it has it. */
static bool is_nowhere(const struct inventory *inventory, const char *vm)
{
	const struct inventory_host *at = NULL;

	return !inventory_vm(inventory, vm, &at);
}

static struct json_object *coming_object(const struct inventory *inventory,
        const struct under_way *under_way, const struct vm_change *change)
{
	const char *host = change->intent.place.host;

	return vm_object(
	        under_way, change->intent.vm, host, "", inventory_is_connected(inventory, host));
}

struct json_object *vms_tell(const struct inventory *inventory, const struct under_way *under_way)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (const struct inventory_host *h = inventory->hosts; h; h = h->next)
		vms_of_host(list, inventory, under_way, h);
	for (const struct vm_change *c = under_way->changes->newest; c; c = c->older)
		if (!vm_change_ended(c) && is_nowhere(inventory, c->intent.vm))
			json_object_array_add(list, coming_object(inventory, under_way, c));
	json_object_object_add(object, "vms", list);
	return object;
}

static struct json_object *gone_object(const char *name)
{
	struct json_object *object = json_object_new_object();

	json_put_text(object, "name", name);
	json_put_text(object, "state", "absent");
	return object;
}

struct json_object *vm_tell(
        const struct inventory *inventory, const struct under_way *under_way, const char *name)
{
	const struct inventory_host *at = NULL;
	const Tether__HostVm *vm = inventory_vm(inventory, name, &at);
	const struct vm_change *latest = vm_changes_latest(under_way->changes, name);
	struct json_object *object;

	if (vm)
		object = vm_object(under_way, name, at->name, vm->slot, at->connected);
	else if (latest && !vm_change_ended(latest))
		object = coming_object(inventory, under_way, latest);
	else if (latest)
		object = gone_object(name);
	else
		return NULL;
	if (latest)
		json_object_object_add(object, "change", vm_change_tell(latest));
	return object;
}
