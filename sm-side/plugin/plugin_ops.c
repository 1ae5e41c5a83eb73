/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plugin/plugin_call.h"

#include <stdlib.h>
#include <string.h>
#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/die_point.h"
#include "sm-side/plugin/report_notices.h"
#include "sm-side/plugin/sm_answer.h"
#include "sm-side/plugin/sweep_lease.h"

static enum refusal op_report(struct call *call)
{
	const struct sm_request *request = call->request;
	CLEANUP_FREE bool *heard = calloc(request->notice_count + 1, sizeof(*heard));
	enum refusal refused;

	if (!heard)
		return REFUSAL_NO_MEMORY;
	refused = report_notices(call->plugin->osm, request->notices, request->notice_count, heard);
	if (!refused)
		sm_answer_unheard(call->results, request->notices, request->notice_count, heard);
	return refused;
}

static enum refusal (*const ops[])(struct call *call) = {
        [SM_STATUS] = op_status,
        [SM_LOCATE] = op_locate,
        [SM_LOCATE_ALL] = op_locate_all,
        [SM_PLAN] = op_plan,
        [SM_LEASE] = op_lease,
        [SM_RELEASE_LEASE] = op_release_lease,
        [SM_APPLY] = op_apply,
        [SM_VERIFY] = op_verify,
        [SM_UNDO] = op_undo,
        [SM_MOVE_ALIAS] = op_move_alias,
        [SM_REPORT] = op_report,
};

static void results_move(struct json_object *from, struct json_object *into)
{
	json_object_object_foreach(from, name, value)
	{
		json_object_object_add(into, name, json_object_get(value));
	}
}

static enum refusal carry_out(struct call *call)
{
	enum sm_op op = call->request->op;
	enum refusal refused;

	if (op == SM_HELLO)
		return op_hello(call); /* a link begins, of which no move is in need yet */
	die_point(DIE_SM_OP, sm_op_name(op));
	refused = ops[op](call);
	die_point(DIE_SM_ANSWER, sm_op_name(op));
	return refused;
}

char *plugin_answer(void *owner, unsigned connection, const char *line, size_t bytes)
{
	struct sm_request request;
	struct call call = {.plugin = owner, .connection = connection, .request = &request};
	struct json_object *id, *answer;
	const char *text = NULL;
	char *printed;
	enum refusal refused = sm_request_read(line, bytes, &id, &request, &text);

	call.results = json_object_new_object();
	if (!refused)
		refused = carry_out(&call);
	answer = sm_answer(id, refused, text);
	sm_answer_fault(answer, refused, &call.fault);
	if (!refused)
		results_move(call.results, answer);
	sm_request_clear(&request);
	printed = strdup(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	json_object_put(call.results);
	json_object_put(answer);
	return printed;
}
