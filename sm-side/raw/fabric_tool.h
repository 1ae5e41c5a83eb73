/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * tether-fabric: plans and carries out moves where there is no subnet manager. A function for each
 * command ends with the exit status; every error has been said on stderr before. One thread.
 */
#ifndef TETHER_FABRIC_TOOL_H
#define TETHER_FABRIC_TOOL_H

#include <json-c/json.h>

#include "sm-side/raw/change_apply.h"
#include "sm-side/raw/umad_window.h"

enum {
	TOOL_DONE = 0,
	TOOL_FAILED = 1, /* or refused; the fabric is as it was */
	TOOL_USAGE = 2,
	TOOL_HALFWAY = 3, /* the fabric is changed in part */
};

struct tool_options {
	struct umad_window_settings umad;
	struct apply_settings apply;
	const struct endpoint_model *model;
	enum plan_order order;
	enum plan_reach reach;
	unsigned deadline_s;
	bool force, dry_run, json, quiet, keep;
	const char *undo_path;
	int count; /* words behind the command */
	char **words;
};

/* An open port, and what was read through it. */
struct tool {
	const struct tool_options *options;
	struct umad_window *window;
	struct fabric_read *fabric;
	struct apply_settings apply;
	uint64_t read_us;
	struct json_object *said; /* what --json prints at the end */
};

int tool_plan(struct tool *tool);
int tool_apply(struct tool *tool);
int tool_undo(struct tool *tool);
int tool_resume(struct tool *tool);
int tool_verify(struct tool *tool);
int tool_dump(struct tool *tool);

/*
 * Open the port, see to it that no SM is there (where @writes), read the fabric. TOOL_DONE or the
 * status to end with. tool_close in any case.
 */
int tool_open(struct tool *tool, const struct tool_options *options, bool with_lfts, bool writes);
void tool_close(struct tool *tool);

/* Say "tether-fabric: text" and what the JSON has as reason. Returns @status. */
__attribute__((format(printf, 4, 5))) int tool_fail(
        struct tool *tool, int status, const char *reason, const char *format, ...);

/* The plan for the moves in the options' words. TOOL_DONE or the status to end with. */
int tool_make_change(struct tool *tool, struct fabric_change *change);

#endif
