/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/cli/timeline.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "sm-side/cli/cli.h"
#include "sm-side/json_read.h"
#include "sm-side/migration/advice.h"

static struct json_object *list_of(struct json_object *from, const char *name, size_t *count)
{
	struct json_object *list = json_object_object_get(from, name);

	*count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	return list;
}

static const char *meaning_of(const char *state_name)
{
	enum migration_state state;

	return migration_state_parse(state_name, &state) ? "" : migration_state_meaning(state);
}

bool timeline_has_ended(struct json_object *migration)
{
	bool ended = false;

	json_read_bool(migration, "ended", &ended);
	return ended;
}

/* ---- steps ---- */

static void step_begin(struct timeline *timeline, struct json_object *step)
{
	if (!timeline->is_open)
		fprintf(timeline->to, "  %10.3f ms  %-20s ", cli_number(step, "started_us") / 1000,
		        cli_text(step, "state"));
	timeline->is_open = true;
}

static void step_end(struct timeline *timeline, struct json_object *step)
{
	fprintf(timeline->to, "%10.3f ms  %s\n",
	        (cli_number(step, "ended_us") - cli_number(step, "started_us")) / 1000,
	        meaning_of(cli_text(step, "state")));
	timeline->is_open = false;
	timeline->ended++;
}

/* Something else is to be said: the line is begun anew when its step has ended. */
static void line_leave(struct timeline *timeline)
{
	if (timeline->is_open)
		fputs("under way\n", timeline->to);
	timeline->is_open = false;
}

static void steps_show(struct timeline *timeline, struct json_object *migration)
{
	struct json_object *list;
	size_t count;

	list = list_of(migration, "steps", &count);
	while (timeline->ended < count) {
		struct json_object *step = json_object_array_get_idx(list, timeline->ended);
		bool has_ended = json_object_object_get_ex(step, "ended_us", NULL);

		if (!has_ended && timeline_has_ended(migration))
			return;
		step_begin(timeline, step);
		if (!has_ended)
			return;
		step_end(timeline, step);
	}
}

/* Each once, when it is new. */
static void waits_show(struct timeline *timeline, struct json_object *migration)
{
	double other = cli_number(migration, "waits_for");
	const char *report = cli_text(migration, "awaits");

	if (other && other != timeline->waits_for) {
		line_leave(timeline);
		fprintf(timeline->to,
		        "  waits for migration %.0f, which moves the other end of its "
		        "connections\n",
		        other);
	}
	if (*report && strcmp(report, timeline->awaits)) {
		line_leave(timeline);
		fprintf(timeline->to, "  waits for its orchestrator to report \"%s\"\n", report);
	}
	timeline->waits_for = other;
	snprintf(timeline->awaits, sizeof(timeline->awaits), "%s", report);
}

void timeline_show(struct timeline *timeline, struct json_object *migration)
{
	steps_show(timeline, migration);
	waits_show(timeline, migration);
	fflush(timeline->to);
}

static double seconds_in(struct json_object *migration, struct json_object *step)
{
	struct timespec now;
	double began = (cli_number(migration, "asked_us") + cli_number(step, "started_us")) / 1e6;
	double since;

	clock_gettime(CLOCK_REALTIME, &now);
	since = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - began;
	return since > 0 ? since : 0;
}

void timeline_print(FILE *to, struct json_object *migration)
{
	struct timeline timeline = {.to = to};
	struct json_object *list;
	size_t count;

	steps_show(&timeline, migration);
	list = list_of(migration, "steps", &count);
	if (timeline.is_open)
		fprintf(to, "under way for %.1f s\n",
		        seconds_in(migration, json_object_array_get_idx(list, timeline.ended)));
	timeline.is_open = false;
	waits_show(&timeline, migration);
}

/* ---- its end ---- */

void refusals_print(FILE *to, struct json_object *migration)
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

static const char *what_next(struct json_object *migration)
{
	struct json_object *list;
	enum migration_state end;
	size_t count, unpaired = 0;

	list = list_of(migration, "refusals", &count);
	for (size_t i = 0; i < count; i++)
		unpaired +=
		        advice_is_unpaired(cli_text(json_object_array_get_idx(list, i), "reason"));
	if (migration_state_parse(cli_text(migration, "outcome"), &end))
		return NULL;
	return advice(end, count, unpaired);
}

void end_print(struct json_object *migration)
{
	const char *next = what_next(migration);
	uint64_t id = 0;

	json_read_number(migration, "id", UINT64_MAX, &id);
	refusals_print(stderr, migration);
	printf("migration %" PRIu64 ": %s: %s from %s to %s, %.1f ms\n", id,
	        cli_text(migration, "outcome"), cli_text(migration, "vm"),
	        cli_text(migration, "from"), cli_text(migration, "to"), length_ms(migration));
	if (next)
		fprintf(stderr, "tether: %s\n", next);
}
