/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether migrate, status, abort: one migration's life on the terminal. */
#include "sm-side/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sm-side/json_read.h"
#include "sm-side/migration/migration_table.h"

static struct json_object *list_of(struct json_object *from, const char *name, size_t *count)
{
	struct json_object *list = json_object_object_get(from, name);

	*count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	return list;
}

static bool bool_of(struct json_object *from, const char *name)
{
	bool value = false;

	json_read_bool(from, name, &value);
	return value;
}

static const char *meaning_of(const char *state_name)
{
	enum migration_state state;

	return migration_state_parse(state_name, &state) ? "" : migration_state_meaning(state);
}

/* ---- the timeline ---- */

/* Print the steps from @from on that have ended; returns how many have in all. */
static size_t steps_print(FILE *to, struct json_object *migration, size_t from)
{
	struct json_object *list;
	size_t count;

	list = list_of(migration, "steps", &count);
	for (; from < count; from++) {
		struct json_object *step = json_object_array_get_idx(list, from);
		double start = cli_number(step, "started_us"), end = cli_number(step, "ended_us");

		if (!json_object_object_get_ex(step, "ended_us", NULL))
			break;
		fprintf(to, "  %10.3f ms  %-20s %10.3f ms  %s\n", start / 1000,
		        cli_text(step, "state"), (end - start) / 1000,
		        meaning_of(cli_text(step, "state")));
		fflush(to);
	}
	return from;
}

static void refusals_print(FILE *to, struct json_object *migration)
{
	struct json_object *list;
	size_t count;

	list = list_of(migration, "refusals", &count);
	for (size_t i = 0; i < count; i++) {
		struct json_object *refusal = json_object_array_get_idx(list, i);

		fprintf(to, "  %s: %s: %s\n", cli_text(refusal, "who"), cli_text(refusal, "reason"),
		        cli_text(refusal, "text"));
	}
}

static double length_ms(struct json_object *migration)
{
	struct json_object *list;
	size_t count;

	list = list_of(migration, "steps", &count);
	return count ? cli_number(json_object_array_get_idx(list, count - 1), "started_us") / 1000
	             : 0;
}

/* Is there nothing against it but connections whose other end has no libtether? */
static bool force_would_help(struct json_object *migration)
{
	struct json_object *list;
	size_t count, unpaired = 0;

	list = list_of(migration, "refusals", &count);
	for (size_t i = 0; i < count; i++) {
		const char *reason = cli_text(json_object_array_get_idx(list, i), "reason");

		unpaired += !strcmp(reason, "peer-without-shim") ||
		            !strcmp(reason, "vm-qp-without-shim");
	}
	return count && unpaired == count;
}

/* What the operator may want to know or do next. */
static const char *advice(struct json_object *migration)
{
	const char *outcome = cli_text(migration, "outcome");

	if (!strcmp(outcome, "refused") && force_would_help(migration))
		return "nothing was changed; remove the reasons above, or move all the same with "
		       "--force: the connections named end with errors";
	if (!strcmp(outcome, "refused"))
		return "nothing was changed; remove the reasons above";
	if (!strcmp(outcome, "aborted"))
		return "the VM goes on where it was; it can be asked again";
	if (!strcmp(outcome, "failed-at-source"))
		return "the VM goes on at the source; see the reasons above before asking again";
	if (!strcmp(outcome, "lost"))
		return "programs saw verbs errors; see the reasons above, and tether vms for where "
		       "the VM is";
	return NULL;
}

static void end_print(struct json_object *migration)
{
	const char *outcome = cli_text(migration, "outcome");
	const char *next = advice(migration);
	uint64_t id = 0;

	json_read_number(migration, "id", UINT64_MAX, &id);
	refusals_print(stderr, migration);
	printf("migration %" PRIu64 ": %s: %s from %s to %s, %.1f ms\n", id, outcome,
	        cli_text(migration, "vm"), cli_text(migration, "from"), cli_text(migration, "to"),
	        length_ms(migration));
	if (next)
		fprintf(stderr, "tether: %s\n", next);
}

/* ---- following ---- */

static struct json_object *migration_get(
        const struct cli_options *options, uint64_t id, const char *query)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/migrations/%" PRIu64 "%s", id, query);
	return cli_get(options, path);
}

/* Once for each that it waits for. */
static double wait_print(FILE *to, struct json_object *migration, double said)
{
	double other = cli_number(migration, "waits_for");

	if (other && other != said)
		fprintf(to,
		        "  waits for migration %.0f, which moves the other end of its "
		        "connections\n",
		        other);
	return other;
}

/* Until it has ended; the server answers when something is new. NULL: said why. */
static struct json_object *follow(const struct cli_options *options, uint64_t id)
{
	unsigned seen = 0;
	size_t printed = 0;
	double waited = 0;

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
		printed = steps_print(stderr, migration, printed);
		waited = wait_print(stderr, migration, waited);
		if (bool_of(migration, "ended"))
			return migration;
		seen = (unsigned)cli_number(migration, "changes");
		json_object_put(migration);
	}
}

static int follow_to_end(const struct cli_options *options, uint64_t id, const char *wanted)
{
	struct json_object *migration = follow(options, id);
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
	return ended >= 0 ? ended : follow_to_end(options, id, "done");
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
	list = list_of(answer, "migrations", &count);
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
	if (options->json) {
		cli_print_json(migration);
	} else {
		printf("migration %" PRIu64 ": %s from %s (%s) to %s (%s)\n", id,
		        cli_text(migration, "vm"), cli_text(migration, "from"),
		        cli_text(migration, "from_slot"), cli_text(migration, "to"),
		        cli_text(migration, "to_slot"));
		printf("%s: %s\n", cli_text(migration, "state"), cli_text(migration, "meaning"));
		wait_print(stdout, migration, 0);
		steps_print(stdout, migration, 0);
		counts_print(migration);
		refusals_print(stdout, migration);
	}
	json_object_put(migration);
	return CLI_DONE;
}

int cli_status(const struct cli_options *options)
{
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
	return options->no_wait ? CLI_DONE : follow_to_end(options, id, "aborted");
}
