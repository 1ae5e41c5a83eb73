/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether vms, hosts: what tether-smd knows. */
#include "sm-side/cli.h"

#include <stdio.h>

#include "sm-side/json_read.h"

/* Print each object of the list @name that the API has at @path, or the whole answer as JSON. */
static int list_print(const struct cli_options *options, const char *path, const char *name,
        const char *heading, void (*print)(struct json_object *object))
{
	struct json_object *answer, *list;
	long status;

	answer = cli_ask(options->api, "GET", path, NULL, &status);
	if (!answer)
		return CLI_FAILED;
	list = json_object_object_get(answer, name);
	if (!json_object_is_type(list, json_type_array)) {
		cli_say_refusal(answer);
		json_object_put(answer);
		return CLI_FAILED;
	}
	if (options->json)
		cli_print_json(answer);
	else
		puts(heading);
	for (size_t i = 0; i < json_object_array_length(list) && !options->json; i++)
		print(json_object_array_get_idx(list, i));
	json_object_put(answer);
	return CLI_DONE;
}

static const char *is_here(struct json_object *object)
{
	bool connected = false;

	json_read_bool(object, "connected", &connected);
	return connected ? "yes" : "no";
}

static const char *or_none(const char *text)
{
	return *text ? text : "-";
}

static void vm_print(struct json_object *vm)
{
	printf("%-16s %-16s %-16s %-5s %s\n", cli_text(vm, "name"), cli_text(vm, "host"),
	        or_none(cli_text(vm, "slot")), is_here(vm), cli_text(vm, "state"));
}

int cli_vms(const struct cli_options *options)
{
	return list_print(options, "/v1/vms", "vms",
	        "VM               HOST             SLOT             AGENT STATE", vm_print);
}

static void host_print(struct json_object *host)
{
	struct json_object *slots = json_object_object_get(host, "slots");
	size_t count =
	        json_object_is_type(slots, json_type_array) ? json_object_array_length(slots) : 0;

	if (!count)
		printf("%-16s %-5s  -\n", cli_text(host, "name"), is_here(host));
	for (size_t i = 0; i < count; i++) {
		struct json_object *slot = json_object_array_get_idx(slots, i);

		printf("%-16s %-5s  %-16s %-16s %s\n", cli_text(host, "name"), is_here(host),
		        cli_text(slot, "name"), or_none(cli_text(slot, "vm")),
		        cli_text(slot, "port_guid"));
	}
}

int cli_hosts(const struct cli_options *options)
{
	return list_print(options, "/v1/hypervisors", "hypervisors",
	        "HOST             AGENT  SLOT             VM               PORT GUID", host_print);
}
