/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a request to the plugin works on, and the ops that carry it out: questions about the subnet
 * in plugin_questions.c, plans and what is done with them in plugin_plans.c, the rest and who is
 * called in plugin_ops.c. Each answers into call->results. The thread of the socket's server.
 */
#ifndef TETHER_PLUGIN_CALL_H
#define TETHER_PLUGIN_CALL_H

#include <json-c/json.h>

#include "sm-side/plugin/plugin_ops.h"
#include "sm-side/plugin/sm_request.h"

/* What an op works on. */
struct call {
	struct plugin *plugin;
	unsigned connection;
	const struct sm_request *request;
	struct json_object *results; /* put into the answer where the op is not refused */
	struct view_fault fault;     /* what a refusal is about */
};

enum refusal op_hello(struct call *call);
enum refusal op_status(struct call *call);
enum refusal op_locate(struct call *call);
enum refusal op_locate_all(struct call *call);
enum refusal op_plan(struct call *call);
enum refusal op_move_alias(struct call *call);
enum refusal op_lease(struct call *call);
enum refusal op_release_lease(struct call *call);
enum refusal op_apply(struct call *call);
enum refusal op_undo(struct call *call);
enum refusal op_verify(struct call *call);

#endif
