/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/driver/host_inventory.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/name.h"
#include "notifier/link/guest_channel.h"

enum {
	GID_BYTES = 16,
	LISTED_MOST = 4096, /* of VMs and of slots: the relay above takes no more of a host */
};

/* Where decoding stands, for the one line that says what is wrong. */
struct decoding {
	const char *where; /* "vms" or "slots" */
	size_t index;
	char *error;
	size_t error_size;
};

static int bad(const struct decoding *at, const char *key, const char *what)
{
	snprintf(at->error, at->error_size, "%s[%zu].%s %s", at->where, at->index, key, what);
	return -EBADMSG;
}

static int text_read(const struct decoding *at, struct json_object *json, const char *key,
        bool wanted, char **text)
{
	struct json_object *value = json_object_object_get(json, key);
	char *copy;

	if (!value && !wanted)
		return 0;
	if (!json_object_is_type(value, json_type_string))
		return bad(at, key, "is not a string");
	if (strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return bad(at, key, "has a zero in it");
	copy = strdup(json_object_get_string(value));
	if (!copy)
		return -ENOMEM;
	*text = copy;
	return 0;
}

/* A number, or one in text: GUIDs do not fit what many JSON writers call a number. */
static int number_read(const struct decoding *at, struct json_object *json, const char *key,
        uint64_t most, uint64_t *number)
{
	struct json_object *value = json_object_object_get(json, key);
	const char *text;
	char *end;

	if (!value)
		return 0;
	if (!json_object_is_type(value, json_type_string) &&
	        !json_object_is_type(value, json_type_int))
		return bad(at, key, "is not a number");
	text = json_object_get_string(value);
	errno = 0;
	*number = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || *number > most)
		return bad(at, key, "is out of range");
	return 0;
}

static int flag_read(const struct decoding *at, struct json_object *json, const char *key,
        protobuf_c_boolean *flag)
{
	struct json_object *value = json_object_object_get(json, key);

	if (value && !json_object_is_type(value, json_type_boolean))
		return bad(at, key, "is neither true nor false");
	*flag = json_object_get_boolean(value);
	return 0;
}

static int gid_read(const struct decoding *at, struct json_object *json, ProtobufCBinaryData *gid)
{
	struct json_object *value = json_object_object_get(json, "gid");
	const char *text = json_object_get_string(value);
	unsigned byte;

	if (!value)
		return 0;
	if (!json_object_is_type(value, json_type_string) || strlen(text) != 2 * GID_BYTES)
		return bad(at, "gid", "is not 32 hexadecimal digits");
	gid->data = malloc(GID_BYTES);
	if (!gid->data)
		return -ENOMEM;
	gid->len = GID_BYTES;
	for (size_t i = 0; i < GID_BYTES; i++) {
		if (!isxdigit((unsigned char)text[2 * i]) ||
		        sscanf(text + 2 * i, "%2x", &byte) != 1)
			return bad(at, "gid", "is not 32 hexadecimal digits");
		gid->data[i] = byte;
	}
	return 0;
}

static int address_read(const struct decoding *at, struct json_object *json, Tether__Slot *slot)
{
	uint64_t lid = 0;
	int err;

	if (!json_object_object_get(json, "lid") && !json_object_object_get(json, "gid"))
		return 0;
	slot->address = malloc(sizeof(*slot->address));
	if (!slot->address)
		return -ENOMEM;
	tether__address__init(slot->address);
	err = number_read(at, json, "lid", 0xbfff, &lid);
	slot->address->lid = lid;
	return err ? err : gid_read(at, json, &slot->address->gid);
}

#define ATTRIBUTES(ATTRIBUTE)                                                                      \
	ATTRIBUTE(max_qp)                                                                          \
	ATTRIBUTE(max_qp_wr)                                                                       \
	ATTRIBUTE(max_sge)                                                                         \
	ATTRIBUTE(max_cqe)                                                                         \
	ATTRIBUTE(max_mr)                                                                          \
	ATTRIBUTE(max_mtu)                                                                         \
	ATTRIBUTE(max_qp_rd_atom)                                                                  \
	ATTRIBUTE(atomic_cap)                                                                      \
	ATTRIBUTE(completion_timestamps)

static int attributes_read(const struct decoding *at, struct json_object *json, Tether__Slot *slot)
{
	struct json_object *value = json_object_object_get(json, "attributes");
	uint64_t number;
	int err;

	if (!value)
		return 0;
	if (!json_object_is_type(value, json_type_object))
		return bad(at, "attributes", "is not an object");
	slot->attributes = malloc(sizeof(*slot->attributes));
	if (!slot->attributes)
		return -ENOMEM;
	tether__attributes__init(slot->attributes);
#define ATTRIBUTE(name)                                                                            \
	number = 0;                                                                                \
	err = number_read(at, value, #name, UINT32_MAX, &number);                                  \
	if (err)                                                                                   \
		return err;                                                                        \
	slot->attributes->name = number;
	ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
	return number_read(
	        at, value, "device_cap_flags", UINT64_MAX, &slot->attributes->device_cap_flags);
}

const char *attributes_lacking(const Tether__Attributes *has, const Tether__Attributes *wanted)
{
#define ATTRIBUTE(field)                                                                           \
	if (has->field < wanted->field)                                                            \
		return #field;
	ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
	return wanted->device_cap_flags & ~has->device_cap_flags ? "device_cap_flags" : NULL;
}

static int vm_read(const struct decoding *at, struct json_object *json, Tether__HostVm *vm)
{
	struct guest_channel guest;
	int err = text_read(at, json, "name", true, &vm->name);

	if (!err)
		err = text_read(at, json, "slot", false, &vm->slot);
	if (!err)
		err = text_read(at, json, "guest", false, &vm->guest);
	if (!err && !name_is_fit(vm->name))
		err = bad(at, "name", "is not fit for a file");
	if (!err && *vm->guest && guest_channel_parse(vm->guest, &guest))
		err = bad(at, "guest", "is not none, unix, virtio:/PATH or vsock:CID");
	return err;
}

static int slot_read(const struct decoding *at, struct json_object *json, Tether__Slot *slot)
{
	uint64_t switch_port = 0;
	int err = text_read(at, json, "name", true, &slot->name);

	if (!err && !*slot->name)
		err = bad(at, "name", "is empty");
	if (!err)
		err = text_read(at, json, "vm", false, &slot->vm);
	if (!err)
		err = number_read(at, json, "node_guid", UINT64_MAX, &slot->node_guid);
	if (!err)
		err = number_read(at, json, "port_guid", UINT64_MAX, &slot->port_guid);
	if (!err)
		err = number_read(at, json, "switch_guid", UINT64_MAX, &slot->switch_guid);
	if (!err)
		err = number_read(at, json, "switch_port", 255, &switch_port);
	slot->switch_port = switch_port;
	if (!err)
		err = flag_read(at, json, "shared_port", &slot->shared_port);
	if (!err)
		err = flag_read(at, json, "dynamic", &slot->dynamic);
	if (!err)
		err = address_read(at, json, slot);
	return err ? err : attributes_read(at, json, slot);
}

/* The list @key of @json, or an empty one. */
static int list_find(struct decoding *at, struct json_object *json, const char *key,
        struct json_object **list, size_t *count)
{
	at->where = key;
	*list = json_object_object_get(json, key);
	*count = 0;
	if (!*list)
		return 0;
	if (!json_object_is_type(*list, json_type_array)) {
		snprintf(at->error, at->error_size, "%s is not a list", key);
		return -EBADMSG;
	}
	*count = json_object_array_length(*list);
	if (*count <= LISTED_MOST)
		return 0;
	snprintf(at->error, at->error_size, "%s has more than %d", key, LISTED_MOST);
	*count = 0;
	return -EBADMSG;
}

static int vms_decode(
        struct decoding *at, struct json_object *json, struct host_inventory *inventory)
{
	struct json_object *list;
	size_t count;
	int err = list_find(at, json, "vms", &list, &count);

	inventory->vms = calloc(count + 1, sizeof(*inventory->vms));
	if (!inventory->vms)
		return err ? err : -ENOMEM;
	for (at->index = 0; !err && at->index < count; at->index++) {
		Tether__HostVm *vm = malloc(sizeof(*vm));

		if (!vm)
			return -ENOMEM;
		tether__host_vm__init(vm);
		inventory->vms[inventory->vms_count++] = vm;
		err = vm_read(at, json_object_array_get_idx(list, at->index), vm);
		if (!err && host_inventory_vm(inventory, vm->name) != vm)
			err = bad(at, "name", "is another's, too");
	}
	return err;
}

static int slots_decode(
        struct decoding *at, struct json_object *json, struct host_inventory *inventory)
{
	struct json_object *list;
	size_t count;
	int err = list_find(at, json, "slots", &list, &count);

	inventory->slots = calloc(count + 1, sizeof(*inventory->slots));
	if (!inventory->slots)
		return err ? err : -ENOMEM;
	for (at->index = 0; !err && at->index < count; at->index++) {
		Tether__Slot *slot = malloc(sizeof(*slot));

		if (!slot)
			return -ENOMEM;
		tether__slot__init(slot);
		inventory->slots[inventory->slots_count++] = slot;
		err = slot_read(at, json_object_array_get_idx(list, at->index), slot);
		if (!err && host_inventory_slot(inventory, slot->name) != slot)
			err = bad(at, "name", "is another's, too");
	}
	return err;
}

int host_inventory_decode(
        struct json_object *json, struct host_inventory *inventory, char *error, size_t error_size)
{
	struct decoding at = {.error = error, .error_size = error_size};
	struct host_inventory decoded = {0};
	int err;

	if (!json_object_is_type(json, json_type_object)) {
		snprintf(error, error_size, "not a JSON object");
		return -EBADMSG;
	}
	err = vms_decode(&at, json, &decoded);
	if (!err)
		err = slots_decode(&at, json, &decoded);
	if (err) {
		host_inventory_clear(&decoded);
		return err;
	}
	host_inventory_clear(inventory);
	*inventory = decoded;
	return 0;
}

void host_inventory_clear(struct host_inventory *inventory)
{
	for (size_t i = 0; i < inventory->vms_count; i++)
		tether__host_vm__free_unpacked(inventory->vms[i], NULL);
	for (size_t i = 0; i < inventory->slots_count; i++)
		tether__slot__free_unpacked(inventory->slots[i], NULL);
	free(inventory->vms);
	free(inventory->slots);
	*inventory = (struct host_inventory){0};
}

Tether__HostVm *host_inventory_vm(const struct host_inventory *inventory, const char *name)
{
	for (size_t i = 0; i < inventory->vms_count; i++)
		if (!strcmp(inventory->vms[i]->name, name))
			return inventory->vms[i];
	return NULL;
}

Tether__Slot *host_inventory_slot(const struct host_inventory *inventory, const char *name)
{
	for (size_t i = 0; i < inventory->slots_count; i++)
		if (!strcmp(inventory->slots[i]->name, name))
			return inventory->slots[i];
	return NULL;
}

/* Strings of a message: protobuf-c's empty one is not ours to free. */
static int text_set(char **text, const char *value)
{
	char *copy = *value ? strdup(value) : (char *)protobuf_c_empty_string;

	if (!copy)
		return -ENOMEM;
	if (*text != protobuf_c_empty_string)
		free(*text);
	*text = copy;
	return 0;
}

int host_inventory_vm_add(struct host_inventory *inventory, const char *name, const char *socket)
{
	Tether__HostVm *vm = host_inventory_vm(inventory, name);
	Tether__HostVm **grown;

	if (vm)
		return text_set(&vm->socket, socket);
	grown = realloc(inventory->vms, (inventory->vms_count + 1) * sizeof(*grown));
	if (grown)
		inventory->vms = grown;
	vm = malloc(sizeof(*vm));
	if (!grown || !vm) {
		free(vm);
		return -ENOMEM;
	}
	tether__host_vm__init(vm);
	if (text_set(&vm->name, name) || text_set(&vm->socket, socket)) {
		tether__host_vm__free_unpacked(vm, NULL);
		return -ENOMEM;
	}
	grown[inventory->vms_count++] = vm;
	return 0;
}

void host_inventory_vm_remove(struct host_inventory *inventory, const char *name)
{
	for (size_t i = 0; i < inventory->vms_count; i++) {
		if (strcmp(inventory->vms[i]->name, name))
			continue;
		tether__host_vm__free_unpacked(inventory->vms[i], NULL);
		inventory->vms[i] = inventory->vms[--inventory->vms_count];
		return;
	}
}

/* The first that the VM has; "": none. */
static const char *slot_of_vm(const struct host_inventory *inventory, const char *vm)
{
	for (size_t i = 0; i < inventory->slots_count; i++)
		if (!strcmp(inventory->slots[i]->vm, vm))
			return inventory->slots[i]->name;
	return "";
}

int host_inventory_detached(struct host_inventory *inventory, const char *name, const char *slot)
{
	Tether__HostVm *vm = host_inventory_vm(inventory, name);
	int err = 0;

	for (size_t i = 0; !err && i < inventory->slots_count; i++)
		if (!strcmp(inventory->slots[i]->vm, name) &&
		        (!*slot || !strcmp(inventory->slots[i]->name, slot)))
			err = text_set(&inventory->slots[i]->vm, "");
	return err || !vm ? err : text_set(&vm->slot, slot_of_vm(inventory, name));
}

int host_inventory_attached(struct host_inventory *inventory, const char *name, const char *slot)
{
	Tether__HostVm *vm = host_inventory_vm(inventory, name);
	Tether__Slot *found = host_inventory_slot(inventory, slot), *had;
	int err = 0;

	/* Of several the one that it had first names it. */
	had = vm ? host_inventory_slot(inventory, vm->slot) : NULL;
	if (vm && (!had || strcmp(had->vm, name)))
		err = text_set(&vm->slot, slot);
	return err || !found ? err : text_set(&found->vm, name);
}

void host_inventory_guids(
        struct host_inventory *inventory, const char *name, uint64_t node_guid, uint64_t port_guid)
{
	Tether__Slot *slot = host_inventory_slot(inventory, name);

	if (!slot)
		return;
	slot->node_guid = node_guid;
	slot->port_guid = port_guid;
}
