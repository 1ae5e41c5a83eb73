/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The file of the driver that speaks QMP: what is taken is complete, and can be said again. */
#include "notifier/qmp/qmp_settings.h"

#include <json-c/json.h>

#include "notifier/base/name.h"
#include "notifier/qmp/qmp_device.h"
#include "notifier/link/guest_channel.h"
#include "tests/fuzz/settings_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void vm_is_complete(const struct qmp_settings *settings, const struct qmp_vm *vm)
{
	struct guest_channel channel;
	char *incoming = qmp_pattern_fill(vm->incoming, vm->name, "hyp2");

	claim(name_is_fit(vm->name) && qmp_settings_vm(settings, vm->name) == vm);
	claim(*vm->qmp == '/');
	claim(!*vm->guest || !guest_channel_parse(vm->guest, &channel));
	claim(incoming != NULL);
	free(incoming);
}

static void slot_is_complete(const struct qmp_settings *settings, const struct qmp_slot *slot)
{
	struct json_object *id = json_object_object_get(slot->arguments, "id");

	claim(qmp_settings_slot(settings, slot->name) == slot);
	claim(qmp_device_id_is_fit(slot->id) && !strcmp(json_object_get_string(id), slot->id));
	claim(*json_object_get_string(json_object_object_get(slot->arguments, "driver")));
}

static void all_said_again(const struct qmp_settings *settings, struct said_again *again)
{
	say_again(again, "max_bandwidth", "%lu", settings->max_bandwidth);
	say_again(again, "downtime_limit_ms", "%lu", settings->downtime_limit_ms);
	say_again(again, "pause_before_switchover", "%s",
	        settings->pause_before_switchover ? "yes" : "no");
	say_again(again, "after_move", "%s", settings->keeps_source ? "keep" : "quit");
	for (size_t i = 0; i < settings->slots_count && again->size < 8192; i++) {
		again->size += snprintf(again->text + again->size,
		        sizeof(again->text) - again->size, "[slot %s]\n", settings->slots[i].name);
		say_text_again(again, "device", settings->slots[i].device);
		say_text_again(again, "id", settings->slots[i].id);
	}
}

static void is_the_same(const struct said_again *again)
{
	struct qmp_settings *settings;
	struct said_again once_more = {.size = 0};
	char error[256];

	settings_file_write((const uint8_t *)again->text, again->size);
	claim(!qmp_settings_read(settings_file_path(), &settings, error, sizeof(error)));
	all_said_again(settings, &once_more);
	claim(once_more.size == again->size && !memcmp(once_more.text, again->text, again->size));
	qmp_settings_drop(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qmp_settings *settings;
	struct said_again again = {.size = 0};
	char error[64] = "";
	int err;

	settings_file_write(data, size);
	err = qmp_settings_read(settings_file_path(), &settings, error, sizeof(error));
	claim(!err == !*error);
	if (err)
		return 0;
	for (size_t i = 0; i < settings->vms_count; i++)
		vm_is_complete(settings, &settings->vms[i]);
	for (size_t i = 0; i < settings->slots_count; i++)
		slot_is_complete(settings, &settings->slots[i]);
	all_said_again(settings, &again);
	if (!again.too_long && settings->slots_count < 32)
		is_the_same(&again);
	qmp_settings_drop(settings);
	return 0;
}
