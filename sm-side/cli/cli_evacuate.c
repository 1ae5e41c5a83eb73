/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether evacuate: a host is emptied, on the terminal. */
#include "sm-side/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"

static struct json_object *vms_of(struct json_object *evacuation, size_t *count)
{
	struct json_object *list = json_object_object_get(evacuation, "vms");

	*count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	return list;
}

/* What has been said of each VM, to say what is new. */
struct shown {
	char (*states)[64];
	size_t count;
};

static void vm_print(struct json_object *vm, struct json_object *evacuation)
{
	const char *state = cli_text(vm, "state");

	fprintf(stderr, "  %3.0f/%.0f  %-16s %s", cli_number(evacuation, "done"),
	        cli_number(evacuation, "total"), cli_text(vm, "vm"), state);
	if (*cli_text(vm, "reason"))
		fprintf(stderr, ": %s: %s", cli_text(vm, "reason"), cli_text(vm, "text"));
	else if (json_object_object_get_ex(vm, "migration", NULL))
		fprintf(stderr, " (migration %.0f)", cli_number(vm, "migration"));
	fprintf(stderr, "\n");
}

static bool shown_grow(struct shown *shown, size_t count)
{
	char(*grown)[64];

	if (count <= shown->count)
		return true;
	grown = realloc(shown->states, count * sizeof(*grown));
	if (!grown)
		return false;
	memset(grown + shown->count, 0, (count - shown->count) * sizeof(*grown));
	shown->states = grown;
	shown->count = count;
	return true;
}

static void news_print(struct json_object *evacuation, struct shown *shown)
{
	struct json_object *list;
	size_t count;

	list = vms_of(evacuation, &count);
	if (!shown_grow(shown, count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct json_object *vm = json_object_array_get_idx(list, i);
		const char *state = cli_text(vm, "state");

		/* Waiting is no news, what for is. */
		if (!strcmp(state, "waiting"))
			state = cli_text(vm, "reason");
		if (*state && strcmp(state, shown->states[i]))
			vm_print(vm, evacuation);
		snprintf(shown->states[i], sizeof(shown->states[i]), "%s", state);
	}
}

static struct json_object *evacuation_get(
        const struct cli_options *options, uint64_t id, unsigned seen)
{
	char path[96];

	snprintf(path, sizeof(path), "/v1/evacuations/%" PRIu64 "?wait=change&seen=%u", id, seen);
	return cli_get(options, path);
}

/* Until it has ended; NULL: said why. */
static struct json_object *follow(const struct cli_options *options, uint64_t id)
{
	struct shown shown = {0};
	struct json_object *evacuation = evacuation_get(options, id, 0);
	bool ended = false;

	while (evacuation) {
		news_print(evacuation, &shown);
		json_read_bool(evacuation, "ended", &ended);
		if (ended)
			break;
		unsigned seen = (unsigned)cli_number(evacuation, "changes");

		json_object_put(evacuation);
		evacuation = evacuation_get(options, id, seen);
	}
	free(shown.states);
	if (!evacuation)
		fprintf(stderr,
		        "tether: how evacuation %" PRIu64
		        " ends is not known here: tether-smd goes on with it when it is started "
		        "again\n",
		        id);
	return evacuation;
}

static int follow_to_end(const struct cli_options *options, uint64_t id, const char *wanted)
{
	struct json_object *evacuation = follow(options, id);
	const char *outcome;
	int status;

	if (!evacuation)
		return CLI_UNKNOWN;
	outcome = cli_text(evacuation, "outcome");
	if (options->json)
		cli_print_json(evacuation);
	else
		printf("evacuation %" PRIu64 ": %s: %.0f of %.0f VMs have left %s\n", id, outcome,
		        cli_number(evacuation, "done"), cli_number(evacuation, "total"),
		        cli_text(evacuation, "host"));
	status = strcmp(outcome, wanted) ? CLI_FAILED : CLI_DONE;
	json_object_put(evacuation);
	return status;
}

static struct json_object *wish_of(const struct cli_options *options)
{
	struct json_object *wish = json_object_new_object();
	struct json_object *to = json_object_new_array();

	json_put_text(wish, "host", options->words[0]);
	for (int i = 0; i < options->to_count; i++)
		json_object_array_add(to, json_object_new_string(options->to[i]));
	for (int i = 1; i < options->count; i++)
		json_object_array_add(to, json_object_new_string(options->words[i]));
	json_object_object_add(wish, "to", to);
	json_put_bool(wish, "force", options->force);
	return wish;
}

static int begin(const struct cli_options *options)
{
	struct json_object *wish = wish_of(options), *answer;
	uint64_t id = 0;
	long status;
	int ended;

	answer = cli_ask(options->api, "POST", "/v1/evacuations", wish, &status);
	json_object_put(wish);
	ended = cli_begun(options, answer, status, &id);
	return ended >= 0 ? ended : follow_to_end(options, id, "done");
}

static int abort_one(const struct cli_options *options)
{
	struct json_object *answer;
	char path[96], end;
	uint64_t id;

	if (options->count != 0 || options->abort[0] < '0' || options->abort[0] > '9' ||
	        sscanf(options->abort, "%" SCNu64 "%c", &id, &end) != 1) {
		fprintf(stderr, "tether: --abort takes the number of an evacuation, and no host\n");
		return CLI_USAGE;
	}
	snprintf(path, sizeof(path), "/v1/evacuations/%" PRIu64 "/abort", id);
	answer = cli_expect(options, "POST", path, HTTP_ACCEPTED);
	if (!answer)
		return CLI_FAILED;
	json_object_put(answer);
	return options->no_wait ? CLI_DONE : follow_to_end(options, id, "aborted");
}

int cli_evacuate(const struct cli_options *options)
{
	if (options->abort)
		return abort_one(options);
	if (!options->count || (options->count > 1 && !options->to_count)) {
		fprintf(stderr, "tether: evacuate takes one host; where its VMs may go stands "
		                "behind --to\n");
		return CLI_USAGE;
	}
	return begin(options);
}
