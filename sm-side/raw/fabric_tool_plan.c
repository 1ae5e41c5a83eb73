/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"
#include "sm-side/raw/fabric_tool.h"

enum { FAULT_BYTES = 128 };

/* "0xGUID" of an end port, or "0xGUID/PORT" of a switch: where that is. -EINVAL, -ENOENT. */
static int place_parse(const struct fabric_read *fabric, const char *text, struct view_place *place)
{
	char guid_text[GUID_TEXT_BYTES];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	const struct read_node *node;
	uint64_t guid;
	uint8_t port;
	char *end;
	long number;

	if (length >= sizeof(guid_text))
		return -EINVAL;
	memcpy(guid_text, text, length);
	guid_text[length] = 0;
	if (guid_parse(guid_text, &guid))
		return -EINVAL;
	if (slash) {
		number = strtol(slash + 1, &end, 10);
		if (end == slash + 1 || *end || number < 1 || number >= LFT_NO_PORT)
			return -EINVAL;
		*place = (struct view_place){guid, (uint8_t)number};
		return fabric_read_at(fabric, *place, &port) ? 0 : -ENOENT;
	}
	node = fabric_read_end_port(fabric, guid, &port);
	if (!node)
		return -ENOENT;
	*place = fabric_read_place_of(fabric, node, port);
	return place->switch_guid ? 0 : -ENOENT;
}

/* One word, FROM:TO. TOOL_DONE or the status to end with. */
static int move_parse(struct tool *tool, const char *word, struct plan_move_request *move)
{
	const char *colon = strchr(word, ':');
	CLEANUP_FREE char *from_text = colon ? strndup(word, (size_t)(colon - word)) : NULL;
	const struct read_node *node;
	struct view_place from;
	int from_error, to_error;
	uint8_t port;

	if (!from_text)
		return tool_fail(tool, TOOL_USAGE, "bad-request", "%s is not FROM:TO", word);
	from_error = place_parse(tool->fabric, from_text, &from);
	to_error = place_parse(tool->fabric, colon + 1, &move->to);
	if (from_error == -EINVAL || to_error == -EINVAL)
		return tool_fail(tool, TOOL_USAGE, "bad-request",
		        "%s: not a port GUID, nor SWITCH-GUID/PORT",
		        from_error == -EINVAL ? from_text : colon + 1);
	if (from_error || to_error)
		return tool_fail(tool, TOOL_FAILED, "unknown-port", "nobody is at %s",
		        from_error ? from_text : colon + 1);
	node = fabric_read_at(tool->fabric, from, &port);
	move->kind = MOVE_SWAP;
	move->vm_port_guid = node->ports[port].guid;
	move->other_in_use = true;
	return TOOL_DONE;
}

static int refuse(struct tool *tool, enum refusal refused, const struct view_fault *fault)
{
	char what[FAULT_BYTES];

	if (fault->kind == VIEW_SOUND)
		return tool_fail(
		        tool, TOOL_FAILED, refusal_name(refused), "%s", refusal_text(refused));
	view_fault_text(fault, what, sizeof(what));
	return tool_fail(
	        tool, TOOL_FAILED, refusal_name(refused), "%s: %s", refusal_text(refused), what);
}

static int plan_over_view(struct tool *tool, const struct plan_request *request, struct plan **plan)
{
	uint64_t start = monotonic_us();
	struct fabric_view *view;
	enum refusal refused;
	int error = fabric_read_view(tool->fabric, &view, request->fault);

	if (error)
		return refuse(tool, error == -EEXIST ? REFUSAL_BAD_VIEW : REFUSAL_NO_MEMORY,
		        request->fault);
	json_put_number(tool->said, "view_us", monotonic_us() - start);
	start = monotonic_us();
	refused = plan_make(view, tool->options->model, request, plan);
	json_put_number(tool->said, "plan_us", monotonic_us() - start);
	fabric_view_destroy(view);
	return refused ? refuse(tool, refused, request->fault) : TOOL_DONE;
}

int tool_make_change(struct tool *tool, struct fabric_change *change)
{
	const struct tool_options *options = tool->options;
	CLEANUP_FREE struct plan_move_request *moves =
	        calloc((size_t)options->count, sizeof(*moves));
	struct view_fault fault = {.kind = VIEW_SOUND};
	struct plan_request request = {.order = options->order,
	        .reach = options->reach,
	        .move_count = (uint32_t)options->count,
	        .moves = moves,
	        .fault = &fault};
	struct plan *plan = NULL;
	int error, status = TOOL_DONE;

	if (!moves)
		return tool_fail(tool, TOOL_FAILED, "no-memory", "out of memory");
	for (int i = 0; i < options->count && !status; i++)
		status = move_parse(tool, options->words[i], &moves[i]);
	if (!status)
		status = plan_over_view(tool, &request, &plan);
	if (status)
		return status;
	error = fabric_change_of(plan, change);
	plan_destroy(plan);
	if (error)
		return tool_fail(tool, TOOL_FAILED, "no-memory", "out of memory");
	return TOOL_DONE;
}
