/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether plan: what a move would write into the fabric, on the terminal. */
#include "sm-side/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"

struct row {
	unsigned wave, block;
	const char *switch_guid, *kind;
};

static int row_order(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int by_switch;

	if (a->wave != b->wave)
		return a->wave < b->wave ? -1 : 1;
	by_switch = strcmp(a->switch_guid, b->switch_guid);
	if (by_switch)
		return by_switch;
	return a->block < b->block ? -1 : a->block > b->block;
}

static void row_fill(struct row *row, struct json_object *change)
{
	row->switch_guid = cli_text(change, "switch_guid");
	row->kind = cli_text(change, "kind");
	json_read_unsigned(change, "wave", &row->wave);
	json_read_unsigned(change, "block", &row->block);
}

static bool is_same_switch(const struct row *a, const struct row *b)
{
	return a->wave == b->wave && !strcmp(a->switch_guid, b->switch_guid);
}

/* A line for each wave and switch. */
static void rows_print(const struct row *rows, size_t count)
{
	printf("WAVE  SWITCH              KIND      BLOCKS\n");
	for (size_t i = 0; i < count; i++) {
		if (!i || !is_same_switch(&rows[i], &rows[i - 1]))
			printf("%4u  %-18s  %-8s ", rows[i].wave, rows[i].switch_guid,
			        *rows[i].kind ? rows[i].kind : "-");
		printf(" %u", rows[i].block);
		if (i + 1 == count || !is_same_switch(&rows[i], &rows[i + 1]))
			printf("\n");
	}
}

static int changes_print(struct json_object *plan)
{
	struct json_object *changes = json_object_object_get(plan, "changes");
	size_t count = json_object_is_type(changes, json_type_array)
	                       ? json_object_array_length(changes)
	                       : 0;
	CLEANUP_FREE struct row *rows = calloc(count + 1, sizeof(*rows));

	if (!rows) {
		fprintf(stderr, "tether: no memory\n");
		return CLI_FAILED;
	}
	for (size_t i = 0; i < count; i++)
		row_fill(&rows[i], json_object_array_get_idx(changes, i));
	qsort(rows, count, sizeof(*rows), row_order);
	rows_print(rows, count);
	return CLI_DONE;
}

static void sums_print(struct json_object *plan)
{
	static const struct {
		const char *what, *name;
	} sums[] = {
	        {"switches", "switches"},
	        {"blocks", "blocks"},
	        {"waves", "waves"},
	        {"LFT Sets, physical", "lft_sets_physical"},
	        {"LFT Sets, vSwitches", "lft_sets_vswitch"},
	        {"of these by splits", "splits"},
	        {"P_Key Sets", "pkey_sets"},
	        {"PortInfo Sets", "portinfo_sets"},
	        {"multicast groups", "groups"},
	};

	printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++)
		printf("%-20s %8.0f\n", sums[i].what, cli_number(plan, sums[i].name));
}

static void stability_print(struct json_object *plan)
{
	const char *stability = cli_text(plan, "stability");

	if (!strcmp(stability, "reverted-by-sweep"))
		printf("\nThe subnet manager's next sweep chooses other routes: every LID stays "
		       "reachable, but the sweep writes tables.\n");
}

static int plan_print(struct json_object *plan)
{
	int status;

	printf("%s (LID %.0f) from %s (%s) to %s (%s), %s, order %s, reach %s; nothing was "
	       "changed\n\n",
	        cli_text(plan, "vm"), cli_number(plan, "lid"), cli_text(plan, "from"),
	        cli_text(plan, "from_slot"), cli_text(plan, "to"), cli_text(plan, "to_slot"),
	        cli_text(plan, "kind"), cli_text(plan, "order"), cli_text(plan, "reach"));
	status = changes_print(plan);
	sums_print(plan);
	stability_print(plan);
	return status;
}

static struct json_object *question_of(const struct cli_options *options)
{
	struct json_object *question = json_object_new_object();

	json_put_text(question, "vm", options->words[0]);
	json_put_text(question, "to", options->words[1]);
	if (options->order)
		json_put_text(question, "order", options->order);
	if (options->reach)
		json_put_text(question, "reach", options->reach);
	return question;
}

int cli_plan(const struct cli_options *options)
{
	struct json_object *question = question_of(options), *plan;
	int ended = CLI_FAILED;
	long status;

	plan = cli_ask(options->api, "POST", "/v1/plan", question, &status);
	json_object_put(question);
	if (!plan)
		return CLI_FAILED;
	if (status != HTTP_OK) {
		cli_say_refusal(plan);
		ended = cli_refused(status);
	} else if (options->json) {
		cli_print_json(plan);
		ended = CLI_DONE;
	} else {
		ended = plan_print(plan);
	}
	json_object_put(plan);
	return ended;
}
