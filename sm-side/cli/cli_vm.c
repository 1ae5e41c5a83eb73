/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether create, destroy: a VM gets a VF or gives it up, on the terminal. */
#include "sm-side/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/name.h"
#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"

enum { LID_MAX = 0xbfff };

static int say_unfit(const char *name)
{
	fprintf(stderr,
	        "tether: %s is no name of a VM or a server: up to %d letters, digits and _.-:@\n",
	        name, NAME_MOST);
	return CLI_USAGE;
}

/* ---- following ---- */

static struct json_object *vm_get(
        const struct cli_options *options, const char *name, unsigned seen)
{
	char path[NAME_MOST + 64];

	snprintf(path, sizeof(path), "/v1/vms/%s?wait=change&seen=%u", name, seen);
	return cli_get(options, path);
}

/* Until change @id has ended, or another has begun since. NULL: said why. */
static struct json_object *follow(const struct cli_options *options, const char *name, uint64_t id)
{
	unsigned seen = 0;

	for (;;) {
		struct json_object *vm = vm_get(options, name, seen);
		struct json_object *change = vm ? json_read_object(vm, "change") : NULL;
		bool ended = false;

		if (!change || (uint64_t)cli_number(change, "id") != id) {
			fprintf(stderr,
			        "tether: how it ends is not known here: tether-smd brings it to "
			        "its end, when it is started again at the latest; then see tether "
			        "vms\n");
			json_object_put(vm);
			return NULL;
		}
		fprintf(stderr, "  %-14s %s\n", cli_text(change, "state"),
		        cli_text(change, "meaning"));
		json_read_bool(change, "ended", &ended);
		if (ended)
			return vm;
		seen = (unsigned)cli_number(change, "changes");
		json_object_put(vm);
	}
}

static void end_print(const char *name, struct json_object *change)
{
	printf("%s: %s: slot %s of %s, port GUID %s", name, cli_text(change, "outcome"),
	        cli_text(change, "slot"), cli_text(change, "host"), cli_text(change, "port_guid"));
	if (json_object_object_get_ex(change, "lid", NULL))
		printf(", LID %.0f", cli_number(change, "lid"));
	puts("");
}

static int follow_to_end(const struct cli_options *options, const char *name, uint64_t id)
{
	struct json_object *vm = follow(options, name, id), *change;
	int status;

	if (!vm)
		return CLI_UNKNOWN;
	change = json_read_object(vm, "change");
	if (*cli_text(change, "reason"))
		fprintf(stderr, "  %s: %s: %s\n", cli_text(change, "who"),
		        cli_text(change, "reason"), cli_text(change, "text"));
	if (options->json)
		cli_print_json(vm);
	else
		end_print(name, change);
	status = strcmp(cli_text(change, "outcome"), "done") ? CLI_FAILED : CLI_DONE;
	json_object_put(vm);
	return status;
}

static int begin(const struct cli_options *options, const char *method, const char *path,
        struct json_object *body)
{
	const char *name = options->words[0];
	struct json_object *answer;
	uint64_t id = 0;
	long status;
	int ended;

	answer = cli_ask(options->api, method, path, body, &status);
	if (!answer && status == CLI_NOT_ANSWERED)
		fprintf(stderr, "tether: whether it has begun is not known; see tether vms\n");
	ended = cli_begun(options, answer, status, &id);
	return ended >= 0 ? ended : follow_to_end(options, name, id);
}

/* ---- commands ---- */

static int guids_put(struct json_object *body, const struct cli_options *options)
{
	uint64_t node_guid, port_guid;

	if (!options->node_guid && !options->port_guid)
		return 0;
	if (!options->node_guid || !options->port_guid ||
	        guid_parse(options->node_guid, &node_guid) ||
	        guid_parse(options->port_guid, &port_guid)) {
		fprintf(stderr, "tether: --node-guid and --port-guid come together, and take "
		                "GUIDs\n");
		return CLI_USAGE;
	}
	json_put_guid(body, "node_guid", node_guid);
	json_put_guid(body, "port_guid", port_guid);
	return 0;
}

static int lid_put(struct json_object *body, const char *text)
{
	unsigned lid;
	char end;

	if (*text < '0' || *text > '9' || sscanf(text, "%u%c", &lid, &end) != 1 || !lid ||
	        lid > LID_MAX) {
		fprintf(stderr, "tether: --lid takes a number from 1 to %d\n", LID_MAX);
		return CLI_USAGE;
	}
	json_put_number(body, "lid", lid);
	return 0;
}

int cli_create(const struct cli_options *options)
{
	struct json_object *body;
	int status;

	if (!name_is_fit(options->words[0]))
		return say_unfit(options->words[0]);
	body = json_object_new_object();
	json_put_text(body, "name", options->words[0]);
	json_put_text(body, "host", options->words[1]);
	if (options->slot)
		json_put_text(body, "slot", options->slot);
	status = guids_put(body, options);
	if (!status && options->lid)
		status = lid_put(body, options->lid);
	if (!status)
		status = begin(options, "POST", "/v1/vms", body);
	json_object_put(body);
	return status;
}

int cli_release(const struct cli_options *options)
{
	const char *name = options->words[0];
	char path[NAME_MOST + 32];
	struct json_object *answer, *wish;
	bool released;
	long status;

	if (!name_is_fit(name))
		return say_unfit(name);
	snprintf(path, sizeof(path), "/v1/vms/%s/release", name);
	wish = json_object_new_object();
	json_put_bool(wish, "force", options->force);
	answer = cli_ask(options->api, "POST", path, wish, &status);
	json_object_put(wish);
	released = answer && status == HTTP_OK;
	if (answer && !released)
		cli_say_refusal(answer);
	else if (released && options->json)
		cli_print_json(answer);
	else if (released)
		printf("%s: %s%s\n", name,
		        *cli_text(answer, "host") ? "is now on " : "is nobody's now",
		        cli_text(answer, "host"));
	json_object_put(answer);
	return released ? CLI_DONE : CLI_FAILED;
}

int cli_forget(const struct cli_options *options)
{
	const char *name = options->words[0];
	char path[NAME_MOST + 32];
	struct json_object *answer;

	if (!name_is_fit(name))
		return say_unfit(name);
	snprintf(path, sizeof(path), "/v1/hypervisors/%s", name);
	answer = cli_expect(options, "DELETE", path, HTTP_OK);
	if (!answer)
		return CLI_FAILED;
	json_object_put(answer);
	return CLI_DONE;
}

int cli_destroy(const struct cli_options *options)
{
	char path[NAME_MOST + 16];

	if (!name_is_fit(options->words[0]))
		return say_unfit(options->words[0]);
	snprintf(path, sizeof(path), "/v1/vms/%s", options->words[0]);
	return begin(options, "DELETE", path, NULL);
}
