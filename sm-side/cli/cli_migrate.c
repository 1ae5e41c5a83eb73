/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether migrate, status, abort: one migration's life on the terminal. */
#include "sm-side/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sm-side/cli/timeline.h"
#include "sm-side/json_read.h"

/* ---- following ---- */

static struct json_object *migration_get(
        const struct cli_options *options, uint64_t id, const char *query)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/migrations/%" PRIu64 "%s", id, query);
	return cli_get(options, path);
}

/* Until it has ended; the server answers when something is new. NULL: said why. */
static struct json_object *follow(const struct cli_options *options, uint64_t id, FILE *to)
{
	struct timeline timeline = {.to = to};
	unsigned seen = 0;

	for (;;) {
		struct json_object *migration;
		char query[64];

		snprintf(query, sizeof(query), "?wait=change&seen=%u", seen);
		migration = migration_get(options, id, query);
		if (!migration) {
			fprintf(stderr,
			        "tether: how migration %" PRIu64
			        " ends is not known here: tether-smd brings it to its end, when it "
			        "is started again at the latest; then see tether status %" PRIu64
			        "\n",
			        id, id);
			return NULL;
		}
		timeline_show(&timeline, migration);
		if (timeline_has_ended(migration))
			return migration;
		seen = (unsigned)cli_number(migration, "changes");
		json_object_put(migration);
	}
}

static int follow_to_end(
        const struct cli_options *options, uint64_t id, FILE *to, const char *wanted)
{
	struct json_object *migration = follow(options, id, to);
	int status;

	if (!migration)
		return CLI_UNKNOWN;
	if (options->json) {
		refusals_print(stderr, migration);
		cli_print_json(migration);
	} else {
		end_print(migration);
	}
	status = strcmp(cli_text(migration, "outcome"), wanted) ? CLI_FAILED : CLI_DONE;
	json_object_put(migration);
	return status;
}

/* ---- commands ---- */

int cli_migrate(const struct cli_options *options)
{
	struct json_object *body = json_object_new_object(), *answer;
	uint64_t id = 0;
	long status;
	int ended;

	json_put_text(body, "vm", options->words[0]);
	json_put_text(body, "to", options->words[1]);
	json_put_bool(body, "force", options->force);
	if (options->order)
		json_put_text(body, "order", options->order);
	if (options->reach)
		json_put_text(body, "reach", options->reach);
	answer = cli_ask(options->api, "POST", "/v1/migrations", body, &status);
	json_object_put(body);
	if (!answer && status == CLI_NOT_ANSWERED)
		fprintf(stderr, "tether: whether the migration has begun is not known; see tether "
		                "status\n");
	ended = cli_begun(options, answer, status, &id);
	return ended >= 0 ? ended : follow_to_end(options, id, stderr, "done");
}

static int id_parse(const char *text, uint64_t *id)
{
	char end;

	if (*text < '0' || *text > '9' || sscanf(text, "%" SCNu64 "%c", id, &end) != 1) {
		fprintf(stderr, "tether: %s is not the number of a migration\n", text);
		return CLI_USAGE;
	}
	return 0;
}

static int status_of_all(const struct cli_options *options)
{
	struct json_object *answer, *list;
	size_t count;
	long status;

	answer = cli_ask(options->api, "GET", "/v1/migrations", NULL, &status);
	if (!answer)
		return CLI_FAILED;
	list = json_object_object_get(answer, "migrations");
	count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	if (options->json)
		cli_print_json(answer);
	else
		printf("%8s  %-16s %-16s %-16s %s\n", "ID", "VM", "FROM", "TO", "STATE");
	for (size_t i = 0; i < count && !options->json; i++) {
		struct json_object *m = json_object_array_get_idx(list, i);

		printf("%8.0f  %-16s %-16s %-16s %s\n", cli_number(m, "id"), cli_text(m, "vm"),
		        cli_text(m, "from"), cli_text(m, "to"), cli_text(m, "state"));
	}
	json_object_put(answer);
	return CLI_DONE;
}

static void counts_print(struct json_object *migration)
{
	struct json_object *counts = json_read_object(migration, "counts");

	if (!counts)
		return;
	json_object_object_foreach(counts, name, value)
	{
		if (json_object_get_int64(value))
			printf("  %-20s %s\n", name, json_object_get_string(value));
	}
}

static int status_of_one(const struct cli_options *options)
{
	struct json_object *migration;
	uint64_t id;
	int err = id_parse(options->words[0], &id);

	if (err)
		return err;
	migration = migration_get(options, id, "");
	if (!migration)
		return CLI_FAILED;
	if (options->follow) {
		json_object_put(migration);
		return follow_to_end(options, id, options->json ? stderr : stdout, "done");
	}
	if (options->json) {
		cli_print_json(migration);
	} else {
		printf("migration %" PRIu64 ": %s from %s (%s) to %s (%s)\n", id,
		        cli_text(migration, "vm"), cli_text(migration, "from"),
		        cli_text(migration, "from_slot"), cli_text(migration, "to"),
		        cli_text(migration, "to_slot"));
		printf("%s: %s\n", cli_text(migration, "state"), cli_text(migration, "meaning"));
		timeline_print(stdout, migration);
		counts_print(migration);
		refusals_print(stdout, migration);
	}
	json_object_put(migration);
	return CLI_DONE;
}

int cli_status(const struct cli_options *options)
{
	if (options->follow && !options->count) {
		fputs("tether: --follow needs the number of a migration; see tether status\n",
		        stderr);
		return CLI_USAGE;
	}
	return options->count ? status_of_one(options) : status_of_all(options);
}

int cli_abort(const struct cli_options *options)
{
	struct json_object *answer;
	char path[64];
	uint64_t id;
	int err = id_parse(options->words[0], &id);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/v1/migrations/%" PRIu64 "/abort", id);
	answer = cli_expect(options, "POST", path, HTTP_ACCEPTED);
	if (!answer)
		return CLI_FAILED;
	json_object_put(answer);
	return options->no_wait ? CLI_DONE : follow_to_end(options, id, stderr, "aborted");
}
