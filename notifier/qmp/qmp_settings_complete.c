/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_settings_state.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "notifier/base/cleanup.h"
#include "notifier/qmp/qmp_device.h"

char *qmp_pattern_fill(const char *pattern, const char *vm, const char *host)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	for (; *pattern; pattern++) {
		if (*pattern != '%' || !pattern[1])
			fputc(*pattern, out);
		else if (*++pattern == 'v')
			fputs(vm, out);
		else if (*pattern == 'h')
			fputs(host, out);
		else
			fputc(*pattern, out);
	}
	failed = ferror(out);
	if (!fclose(out) && !failed)
		return text;
	free(text);
	return NULL;
}

struct qmp_settings *qmp_settings_create(void)
{
	struct qmp_settings *settings = calloc(1, sizeof(*settings));

	if (!settings)
		return NULL;
	settings->holders = 1;
	settings->capabilities = json_object_new_array();
	if (settings->capabilities)
		return settings;
	free(settings);
	return NULL;
}

/* @own as it stands, else @standard, with the VM's name put in. "": neither says it. */
static int text_complete(char **own, const char *standard, const char *vm)
{
	const char *pattern = *own ? *own : standard ? standard : "";
	char *filled = qmp_pattern_fill(pattern, vm, "");

	if (!filled)
		return -ENOMEM;
	free(*own);
	*own = filled;
	return 0;
}

static int vm_complete(struct qmp_settings *settings, struct qmp_vm *vm, const char *path,
        char *error, size_t error_size)
{
	int err = text_complete(&vm->qmp, settings->standard.qmp, vm->name);

	if (!err)
		err = text_complete(&vm->guest, settings->standard.guest, vm->name);
	if (!err && !vm->incoming) {
		vm->incoming =
		        strdup(settings->standard.incoming ? settings->standard.incoming : "");
		err = vm->incoming ? 0 : -ENOMEM;
	}
	if (err) {
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		return err;
	}
	if (!*vm->qmp)
		snprintf(error, error_size, "%s: \"qmp\" is not said of VM %s", path, vm->name);
	else if (strlen(vm->qmp) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		snprintf(error, error_size, "%s: \"qmp\" of VM %s is too long for a socket's path",
		        path, vm->name);
	else
		return 0;
	return -EINVAL;
}

/* Unless it says another: "tether-vf0". */
static int id_complete(struct qmp_slot *slot)
{
	if (slot->id)
		return 0;
	if (asprintf(&slot->id, "tether-%s", slot->name) >= 0)
		return 0;
	slot->id = NULL;
	return -ENOMEM;
}

static int slot_complete(
        struct qmp_settings *settings, size_t index, const char *path, char *error, size_t size)
{
	struct qmp_slot *slot = &settings->slots[index];
	int err;

	if (!slot->device) {
		snprintf(error, size, "%s: \"device\" is not said of slot %s", path, slot->name);
		return -EINVAL;
	}
	err = id_complete(slot);
	if (!err)
		err = qmp_device_read(slot->device, slot->id, &slot->arguments);
	if (err) {
		snprintf(error, size, "%s: %s", path, strerror(-err));
		return err;
	}
	for (size_t i = 0; i < index; i++) {
		if (strcmp(settings->slots[i].id, slot->id) != 0)
			continue;
		snprintf(error, size, "%s: slots %s and %s have the same id", path,
		        settings->slots[i].name, slot->name);
		return -EINVAL;
	}
	return 0;
}

int qmp_settings_complete(
        struct qmp_settings *settings, const char *path, char *error, size_t error_size)
{
	int err = 0;

	for (size_t i = 0; i < settings->vms_count && !err; i++)
		err = vm_complete(settings, &settings->vms[i], path, error, error_size);
	for (size_t i = 0; i < settings->slots_count && !err; i++)
		err = slot_complete(settings, i, path, error, error_size);
	return err;
}

struct qmp_settings *qmp_settings_hold(struct qmp_settings *settings)
{
	settings->holders++;
	return settings;
}

static void vm_clear(struct qmp_vm *vm)
{
	free(vm->name);
	free(vm->qmp);
	free(vm->guest);
	free(vm->incoming);
}

static void slot_clear(struct qmp_slot *slot)
{
	free(slot->name);
	free(slot->id);
	free(slot->device);
	json_object_put(slot->arguments);
	json_object_put(slot->attributes);
}

void qmp_settings_drop(struct qmp_settings *settings)
{
	if (!settings || --settings->holders)
		return;
	for (size_t i = 0; i < settings->vms_count; i++)
		vm_clear(&settings->vms[i]);
	for (size_t i = 0; i < settings->slots_count; i++)
		slot_clear(&settings->slots[i]);
	vm_clear(&settings->standard);
	free(settings->vms);
	free(settings->slots);
	json_object_put(settings->capabilities);
	free(settings);
}

const struct qmp_vm *qmp_settings_vm(const struct qmp_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->vms_count; i++)
		if (!strcmp(settings->vms[i].name, name))
			return &settings->vms[i];
	return NULL;
}

const struct qmp_slot *qmp_settings_slot(const struct qmp_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->slots_count; i++)
		if (!strcmp(settings->slots[i].name, name))
			return &settings->slots[i];
	return NULL;
}
