/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether vms, hosts, evacuations: what tether-smd knows. */
#include "sm-side/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

#include "sm-side/json_read.h"

int cli_list(const struct cli_options *options, const char *path, const char *name,
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

/* Who says, too, that he has it. */
static void disputed_print(struct json_object *vm)
{
	struct json_object *hosts = json_object_object_get(vm, "disputed");
	size_t count =
	        json_object_is_type(hosts, json_type_array) ? json_object_array_length(hosts) : 0;

	for (size_t i = 0; i < count; i++)
		printf("%s%s", i ? ", " : " disputed: ",
		        json_object_get_string(json_object_array_get_idx(hosts, i)));
}

static void vm_print(struct json_object *vm)
{
	printf("%-16s %-16s %-16s %-5s %s", cli_text(vm, "name"), cli_text(vm, "host"),
	        or_none(cli_text(vm, "slot")), is_here(vm), cli_text(vm, "state"));
	disputed_print(vm);
	printf("\n");
}

int cli_vms(const struct cli_options *options)
{
	return cli_list(options, "/v1/vms", "vms",
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
	return cli_list(options, "/v1/hypervisors", "hypervisors",
	        "HOST             AGENT  SLOT             VM               PORT GUID", host_print);
}

static const char *evacuation_state(struct json_object *evacuation)
{
	const char *outcome = cli_text(evacuation, "outcome");

	return *outcome ? outcome : "under way";
}

static void evacuation_print(struct json_object *evacuation)
{
	printf("%8.0f  %-16s %5.0f %5.0f %7.0f %7.0f %6.0f %5.0f  %s\n",
	        cli_number(evacuation, "id"), cli_text(evacuation, "host"),
	        cli_number(evacuation, "total"), cli_number(evacuation, "done"),
	        cli_number(evacuation, "moving"), cli_number(evacuation, "waiting"),
	        cli_number(evacuation, "failed"), cli_number(evacuation, "left"),
	        evacuation_state(evacuation));
}

static void evacuee_print(struct json_object *vm)
{
	printf("  %-16s %-8s", cli_text(vm, "vm"), cli_text(vm, "state"));
	if (json_object_object_get_ex(vm, "migration", NULL))
		printf(" migration %.0f", cli_number(vm, "migration"));
	if (*cli_text(vm, "reason"))
		printf(" %s: %s", cli_text(vm, "reason"), cli_text(vm, "text"));
	printf("\n");
}

static int one_evacuation_print(const struct cli_options *options)
{
	char path[64], end;
	struct json_object *evacuation, *vms;
	uint64_t id;

	if (options->words[0][0] < '0' || options->words[0][0] > '9' ||
	        sscanf(options->words[0], "%" SCNu64 "%c", &id, &end) != 1) {
		fprintf(stderr, "tether: %s is not the number of an evacuation\n",
		        options->words[0]);
		return CLI_USAGE;
	}
	snprintf(path, sizeof(path), "/v1/evacuations/%" PRIu64, id);
	evacuation = cli_get(options, path);
	if (!evacuation)
		return CLI_FAILED;
	vms = json_object_object_get(evacuation, "vms");
	if (options->json)
		cli_print_json(evacuation);
	else
		printf("evacuation %" PRIu64 " of %s: %s\n", id, cli_text(evacuation, "host"),
		        evacuation_state(evacuation));
	for (size_t i = 0; !options->json && json_object_is_type(vms, json_type_array) &&
	                   i < json_object_array_length(vms);
	        i++)
		evacuee_print(json_object_array_get_idx(vms, i));
	json_object_put(evacuation);
	return CLI_DONE;
}

int cli_evacuations(const struct cli_options *options)
{
	if (options->count)
		return one_evacuation_print(options);
	return cli_list(options, "/v1/evacuations", "evacuations",
	        "      ID  HOST               VMS  DONE  MOVING WAITING FAILED  LEFT  STATE",
	        evacuation_print);
}
