/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/monotonic.h"
#include "sm-side/json_read.h"
#include "sm-side/raw/change_file.h"
#include "sm-side/raw/fabric_tool.h"

static void say_counts(struct tool *tool, const struct plan_counts *counts)
{
	json_put_number(tool->said, "lft_sets_physical", counts->lft_physical);
	json_put_number(tool->said, "lft_sets_vswitch", counts->lft_vswitch);
	json_put_number(tool->said, "portinfo_sets", counts->portinfo);
}

static void say_plan(struct tool *tool, const struct fabric_change *change)
{
	struct plan_counts counts = fabric_change_counts(change);

	say_counts(tool, &counts);
	json_put_number(tool->said, "moves", change->move_count);
	json_put_text(tool->said, "order", order_name(change->order));
	json_put_text(tool->said, "reach", reach_name(change->reach));
	json_put_number(tool->said, "waves", change->sets.wave_count);
	json_put_number(tool->said, "splits", change->sets.splits);
	json_put_number(tool->said, "read_us", tool->read_us);
	json_object_object_add(tool->said, "change", change_to_json(change));
	if (!tool->options->json)
		printf("%u moves: %u LFT Sets on switches, %u on vSwitches, %u PortInfo Sets, "
		       "%u waves (%s, %s)\n",
		        change->move_count, counts.lft_physical, counts.lft_vswitch,
		        counts.portinfo, change->sets.wave_count, order_name(change->order),
		        reach_name(change->reach));
}

static void say_result(struct tool *tool, const char *what, const struct apply_result *result)
{
	say_counts(tool, &result->sent);
	json_put_text(tool->said, "done", what);
	json_put_number(tool->said, "resent", result->resent);
	json_put_number(tool->said, "waves_sent", result->waves);
	json_put_number(tool->said, "lids_us", result->lids_us);
	json_put_number(tool->said, "sets_us", result->sets_us);
	if (!tool->options->json)
		printf("%s and verified: %u LFT Sets on switches, %u on vSwitches, %u PortInfo "
		       "Sets, %u of them again; %.3f ms\n",
		        what, result->sent.lft_physical, result->sent.lft_vswitch,
		        result->sent.portinfo, result->resent,
		        (double)(result->lids_us + result->sets_us) / 1000);
}

static bool is_nothing_sent(const struct apply_result *result)
{
	return !result->sent.lft_physical && !result->sent.lft_vswitch && !result->sent.portinfo;
}

static const char *reason_of(int error)
{
	switch (error) {
	case -ESTALE:
	case -ENOENT:
		return "stale-plan";
	case -EHOSTUNREACH:
		return "not-read";
	case -EACCES:
		return "m-key";
	case -EUCLEAN:
		return "not-verified";
	case -ENOMEM:
		return "no-memory";
	}
	return "not-acknowledged";
}

/* Carry out, or take back, and look. */
static int carry_out(struct tool *tool, const struct fabric_change *change,
        enum change_direction direction, struct apply_result *result, char why[READ_WHY_BYTES])
{
	int error = change_apply(
	        tool->window, tool->fabric, change, direction, &tool->apply, result, why);

	if (error)
		return error;
	return change_verify(tool->window, tool->fabric, change, direction, &tool->apply, why);
}

int tool_plan(struct tool *tool)
{
	struct fabric_change change;
	int status = tool_make_change(tool, &change);

	if (status)
		return status;
	say_plan(tool, &change);
	fabric_change_clear(&change);
	return TOOL_DONE;
}

/* The time for taking back is as long as that for carrying out was. */
static int take_back(
        struct tool *tool, const struct fabric_change *change, const char *reason, const char *why)
{
	char again[READ_WHY_BYTES];
	struct apply_result result;

	tool->apply.deadline_ns = monotonic_ns() + tool->options->deadline_s * NS_PER_S;
	if (carry_out(tool, change, CHANGE_BACK, &result, again))
		return tool_fail(tool, TOOL_HALFWAY, reason,
		        "%s; and it could not be taken back: %s", why, again);
	json_put_text(tool->said, "done", "undone");
	unlink(tool->options->undo_path);
	return tool_fail(tool, TOOL_FAILED, reason, "%s; undone and verified", why);
}

static int apply(struct tool *tool, const struct fabric_change *change)
{
	char why[READ_WHY_BYTES];
	struct apply_result result;
	int error = change_file_write(tool->options->undo_path, change);

	if (error)
		return tool_fail(tool, TOOL_FAILED, "undo-file", "%s: %s", tool->options->undo_path,
		        strerror(-error));
	error = carry_out(tool, change, CHANGE_FORTH, &result, why);
	if (!error) {
		say_result(tool, "applied", &result);
		return TOOL_DONE;
	}
	if (is_nothing_sent(&result)) {
		unlink(tool->options->undo_path);
		return tool_fail(tool, TOOL_FAILED, reason_of(error), "%s", why);
	}
	if (tool->options->keep)
		return tool_fail(tool, TOOL_HALFWAY, reason_of(error), "%s", why);
	return take_back(tool, change, reason_of(error), why);
}

int tool_apply(struct tool *tool)
{
	struct fabric_change change;
	int status = tool_make_change(tool, &change);

	if (status)
		return status;
	say_plan(tool, &change);
	if (!tool->options->dry_run)
		status = apply(tool, &change);
	fabric_change_clear(&change);
	return status;
}

static int change_open(struct tool *tool, struct fabric_change *change)
{
	const char *path = tool->options->words[0], *why;

	if (change_file_read(path, change, &why))
		return tool_fail(tool, TOOL_FAILED, "undo-file", "%s: %s", path, why);
	return TOOL_DONE;
}

static int go(struct tool *tool, enum change_direction direction, const char *what)
{
	char why[READ_WHY_BYTES];
	struct fabric_change change;
	struct apply_result result = {0};
	int error, status = change_open(tool, &change);

	if (status)
		return status;
	if (tool->options->dry_run) {
		error = change_verify(
		        tool->window, tool->fabric, &change, direction, &tool->apply, why);
		if (!tool->options->json)
			printf("%s\n", error ? why : "nothing is left to do");
		error = error == -EUCLEAN ? 0 : error;
	} else {
		error = carry_out(tool, &change, direction, &result, why);
		if (!error)
			say_result(tool, what, &result);
	}
	fabric_change_clear(&change);
	if (!error)
		return TOOL_DONE;
	return tool_fail(tool, is_nothing_sent(&result) ? TOOL_FAILED : TOOL_HALFWAY,
	        reason_of(error), "%s", why);
}

int tool_undo(struct tool *tool)
{
	return go(tool, CHANGE_BACK, "undone");
}

int tool_resume(struct tool *tool)
{
	return go(tool, CHANGE_FORTH, "applied");
}

int tool_verify(struct tool *tool)
{
	char why[READ_WHY_BYTES];
	struct fabric_change change;
	int error, status = change_open(tool, &change);

	if (status)
		return status;
	error = change_verify(tool->window, tool->fabric, &change, CHANGE_FORTH, &tool->apply, why);
	fabric_change_clear(&change);
	if (error)
		return tool_fail(tool, TOOL_FAILED, reason_of(error), "%s", why);
	json_put_bool(tool->said, "verified", true);
	if (!tool->options->json)
		printf("all of it is carried out\n");
	return TOOL_DONE;
}
