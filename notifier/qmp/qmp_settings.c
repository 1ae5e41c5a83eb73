/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_settings.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/name.h"
#include "notifier/base/settings.h"
#include "notifier/qmp/qmp_device.h"
#include "notifier/qmp/qmp_settings_state.h"
#include "notifier/link/guest_channel.h"
#include "tether.pb-c.h"

#define QMP_SETTINGS_MANUAL "tether-qmp.conf(5)"

enum { LISTED_MOST = 4096 }; /* host_inventory.c takes no more */

/* Where a key may stand. */
enum place { OUTSIDE = 1, IN_VM = 2, IN_SLOT = 4 };

struct reading {
	struct qmp_settings *settings;
	const char *file;
	enum place place;
	size_t index; /* which VM or slot */
};

typedef int setting_taker(struct reading *reading, const char *key, const char *value);

/* %v, %% and what @also has. */
static bool pattern_is_fit(const char *pattern, const char *also)
{
	for (; *pattern; pattern++)
		if (*pattern == '%' && *++pattern != 'v' && *pattern != '%' &&
		        (!*pattern || !strchr(also, *pattern)))
			return false;
	return true;
}

static struct qmp_vm *vm_at(const struct reading *reading)
{
	return reading->place == IN_VM ? &reading->settings->vms[reading->index]
	                               : &reading->settings->standard;
}

static int qmp_take(struct reading *reading, const char *key, const char *value)
{
	if (!pattern_is_fit(value, ""))
		return -EINVAL;
	return setting_path(&vm_at(reading)->qmp, reading->file, "", value);
}

static int guest_take(struct reading *reading, const char *key, const char *value)
{
	struct guest_channel channel;

	if (!pattern_is_fit(value, ""))
		return -EINVAL;
	if (!strncmp(value, "virtio:", 7))
		return setting_path(&vm_at(reading)->guest, reading->file, "virtio:", value);
	if (guest_channel_parse(value, &channel))
		return -EINVAL;
	return setting_text(&vm_at(reading)->guest, value);
}

static int incoming_take(struct reading *reading, const char *key, const char *value)
{
	if (!pattern_is_fit(value, "h") || !strchr(value, ':'))
		return -EINVAL;
	return setting_text(&vm_at(reading)->incoming, value);
}

static int flag_take(bool *flag, const char *value, const char *yes, const char *no)
{
	if (strcmp(value, yes) != 0 && strcmp(value, no) != 0)
		return -EINVAL;
	*flag = !strcmp(value, yes);
	return 0;
}

static int pause_take(struct reading *reading, const char *key, const char *value)
{
	return flag_take(&reading->settings->pause_before_switchover, value, "yes", "no");
}

static int after_take(struct reading *reading, const char *key, const char *value)
{
	return flag_take(&reading->settings->keeps_source, value, "keep", "quit");
}

static int bandwidth_take(struct reading *reading, const char *key, const char *value)
{
	return setting_number(&reading->settings->max_bandwidth, value, 0, 1UL << 50);
}

static int downtime_take(struct reading *reading, const char *key, const char *value)
{
	/* As much as QEMU takes. */
	return setting_number(&reading->settings->downtime_limit_ms, value, 0, 2000000);
}

/* Hand each of the words of @value to @take. */
static int words_take(struct reading *reading, const char *value,
        int (*take)(struct reading *reading, const char *word))
{
	CLEANUP_FREE char *copy = strdup(value);
	char *rest, *word = copy ? strtok_r(copy, " \t", &rest) : NULL;
	int err = !copy ? -ENOMEM : word ? 0 : -EINVAL;

	for (; word && !err; word = strtok_r(NULL, " \t", &rest))
		err = take(reading, word);
	return err;
}

static int capability_take(struct reading *reading, const char *word)
{
	struct json_object *name;

	if (!qmp_device_id_is_fit(word))
		return -EINVAL;
	name = json_object_new_string(word);
	if (name && !json_object_array_add(reading->settings->capabilities, name))
		return 0;
	json_object_put(name);
	return -ENOMEM;
}

static int capabilities_take(struct reading *reading, const char *key, const char *value)
{
	return words_take(reading, value, capability_take);
}

/* The VM's place, which is made if need be. */
static int vm_place(struct qmp_settings *settings, const char *name, size_t *index)
{
	struct qmp_vm *grown;

	if (!name_is_fit(name))
		return -EINVAL;
	for (*index = 0; *index < settings->vms_count; ++*index)
		if (!strcmp(settings->vms[*index].name, name))
			return 0;
	if (settings->vms_count == LISTED_MOST)
		return -EINVAL;
	grown = reallocarray(settings->vms, settings->vms_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	settings->vms = grown;
	grown[settings->vms_count] = (struct qmp_vm){0};
	return setting_text(&grown[settings->vms_count++].name, name);
}

static int slot_place(struct qmp_settings *settings, const char *name, size_t *index)
{
	struct qmp_slot *grown;

	if (!name_is_fit(name) || strchr(name, ':') || strchr(name, '@'))
		return -EINVAL;
	for (*index = 0; *index < settings->slots_count; ++*index)
		if (!strcmp(settings->slots[*index].name, name))
			return 0;
	if (settings->slots_count == LISTED_MOST)
		return -EINVAL;
	grown = reallocarray(settings->slots, settings->slots_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	settings->slots = grown;
	grown[settings->slots_count] = (struct qmp_slot){0};
	return setting_text(&grown[settings->slots_count++].name, name);
}

static int vm_name_take(struct reading *reading, const char *word)
{
	size_t index;

	return vm_place(reading->settings, word, &index);
}

static int vms_take(struct reading *reading, const char *key, const char *value)
{
	return words_take(reading, value, vm_name_take);
}

static struct qmp_slot *slot_at(const struct reading *reading)
{
	return &reading->settings->slots[reading->index];
}

static int device_take(struct reading *reading, const char *key, const char *value)
{
	struct json_object *arguments;
	int err = qmp_device_read(value, "id", &arguments);

	if (err)
		return err;
	json_object_put(arguments);
	return setting_text(&slot_at(reading)->device, value);
}

static int id_take(struct reading *reading, const char *key, const char *value)
{
	return qmp_device_id_is_fit(value) ? setting_text(&slot_at(reading)->id, value) : -EINVAL;
}

static const struct row {
	const char *key;
	int places;
	setting_taker *take;
	const char *wants;
} rows[] = {
        {"vms", OUTSIDE, vms_take, "outside of sections, names of VMs"},
        {"qmp", OUTSIDE | IN_VM, qmp_take,
                "outside of sections or in [vm NAME], the path of a socket; %v is the VM"},
        {"guest", OUTSIDE | IN_VM, guest_take,
                "outside of sections or in [vm NAME], none, unix, virtio:/PATH or vsock:CID; %v is "
                "the VM"},
        {"incoming", OUTSIDE | IN_VM, incoming_take,
                "outside of sections or in [vm NAME], unix:/PATH or tcp:ADDRESS:PORT; %v is the "
                "VM, %h the host"},
        {"max_bandwidth", OUTSIDE, bandwidth_take, "outside of sections, bytes a second"},
        {"downtime_limit_ms", OUTSIDE, downtime_take,
                "outside of sections, milliseconds, at most 2000000"},
        {"pause_before_switchover", OUTSIDE, pause_take, "outside of sections, yes or no"},
        {"after_move", OUTSIDE, after_take, "outside of sections, quit or keep"},
        {"capabilities", OUTSIDE, capabilities_take,
                "outside of sections, names of migration capabilities"},
        {"device", IN_SLOT, device_take,
                "in [slot NAME], DRIVER,PROPERTY=VALUE,... without driver and id"},
        {"id", IN_SLOT, id_take, "in [slot NAME], letters, digits and -._, a letter first"},
};

#define ATTRIBUTE_WANTS "in [slot NAME], a number"

static const char *attribute_name(size_t index)
{
	const ProtobufCMessageDescriptor *all = &tether__attributes__descriptor;

	return index < all->n_fields ? all->fields[index].name : NULL;
}

static bool is_attribute(const char *key)
{
	const char *name;

	for (size_t i = 0; (name = attribute_name(i)); i++)
		if (!strcmp(name, key))
			return true;
	return false;
}

static int attribute_take(struct reading *reading, const char *key, const char *value)
{
	struct json_object **all = &slot_at(reading)->attributes, *said;
	unsigned long number;

	if (setting_number(
	            &number, value, 0, strcmp(key, "device_cap_flags") ? UINT32_MAX : UINT64_MAX))
		return -EINVAL;
	if (!*all)
		*all = json_object_new_object();
	/* As text: device_cap_flags may have all of its 64 bits. */
	said = *all ? json_object_new_string(value) : NULL;
	if (said && !json_object_object_add(*all, key, said))
		return 0;
	json_object_put(said);
	return -ENOMEM;
}

static const char *key_of(size_t index, const char **wants)
{
	if (index < ARRAY_SIZE(rows)) {
		*wants = rows[index].wants;
		return rows[index].key;
	}
	*wants = ATTRIBUTE_WANTS;
	return attribute_name(index - ARRAY_SIZE(rows));
}

static int section_take(void *context, const char *section)
{
	struct reading *reading = context;

	if (!*section) {
		reading->place = OUTSIDE;
		return 0;
	}
	if (!strncmp(section, "vm ", 3)) {
		reading->place = IN_VM;
		return vm_place(reading->settings, section + 3, &reading->index);
	}
	if (!strncmp(section, "slot ", 5)) {
		reading->place = IN_SLOT;
		return slot_place(reading->settings, section + 5, &reading->index);
	}
	return -EINVAL;
}

static const struct settings_words words = {
        .manual = QMP_SETTINGS_MANUAL,
        .key = key_of,
        .section = section_take,
        .section_wants = "[vm NAME] or [slot NAME]",
};

static int take(void *context, const char *key, const char *value)
{
	struct reading *reading = context;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].key, key))
			return rows[i].places & (int)reading->place
			               ? rows[i].take(reading, key, value)
			               : -EINVAL;
	if (!is_attribute(key))
		return -ENOENT;
	return reading->place == IN_SLOT ? attribute_take(reading, key, value) : -EINVAL;
}

int qmp_settings_read(
        const char *path, struct qmp_settings **settings, char *error, size_t error_size)
{
	struct qmp_settings *read = qmp_settings_create();
	struct reading reading = {.settings = read, .file = path, .place = OUTSIDE};
	int err;

	if (!read) {
		snprintf(error, error_size, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	err = settings_read(path, take, &words, &reading, error, error_size);
	if (!err)
		err = qmp_settings_complete(read, path, error, error_size);
	if (err)
		qmp_settings_drop(read);
	else
		*settings = read;
	return err;
}
