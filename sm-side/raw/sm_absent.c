/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/sm_absent.h"

#include <errno.h>
#include <stdio.h>

struct question {
	bool is_answered;
	struct smp_answer answer;
};

static enum ask_verdict answered(const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct question *question = ask->context;

	if (answer && answer->status == 0) {
		question->is_answered = true;
		question->answer = *answer;
	}
	return ASK_DONE;
}

/* Ask one thing. Silence is no error: question->is_answered says it. */
static int ask_one(struct umad_window *window, const struct smp_request *request,
        uint64_t deadline_ns, struct question *question)
{
	struct ask ask = {.request = *request, .done = answered, .context = question};
	int error = umad_window_post(window, &ask);

	*question = (struct question){0};
	return error ? error : umad_window_run(window, deadline_ns);
}

static int ask_sm(struct umad_window *window, const struct smp_route *route, uint64_t deadline_ns,
        const char *where, char text[SM_FOUND_BYTES])
{
	struct smp_request request = {.route = *route, .method = SMP_GET, .attribute = SMP_SM_INFO};
	struct question question;
	int error = ask_one(window, &request, deadline_ns, &question);

	if (error || !question.is_answered || smp_sm_state(question.answer.data) != SMP_SM_MASTER)
		return error;
	snprintf(text, SM_FOUND_BYTES, "a subnet manager, 0x%016llx, is master at %s",
	        (unsigned long long)smp_sm_guid(question.answer.data), where);
	return -EBUSY;
}

static int own_port(struct umad_window *window, uint64_t deadline_ns, struct smp_port_info *info)
{
	struct smp_request request = {.method = SMP_GET, .attribute = SMP_NODE_INFO};
	struct smp_node_info node;
	struct question question;
	int error = ask_one(window, &request, deadline_ns, &question);

	if (error)
		return error;
	if (!question.is_answered || smp_node_info_decode(question.answer.data, &node))
		return -EHOSTUNREACH;
	request.attribute = SMP_PORT_INFO;
	request.modifier = node.local_port;
	error = ask_one(window, &request, deadline_ns, &question);
	if (error)
		return error;
	if (!question.is_answered)
		return -EHOSTUNREACH;
	smp_port_info_decode(question.answer.data, info);
	return 0;
}

int sm_absent_nearby(struct umad_window *window, uint64_t deadline_ns, char text[SM_FOUND_BYTES])
{
	struct smp_port_info info;
	int error = own_port(window, deadline_ns, &info);
	char where[32];

	if (error) {
		snprintf(text, SM_FOUND_BYTES, "the own port does not answer");
		return error;
	}
	if (info.is_sm) {
		snprintf(text, SM_FOUND_BYTES, "a subnet manager runs at this very port");
		return -EBUSY;
	}
	if (!info.sm_lid)
		return 0;
	snprintf(where, sizeof(where), "LID %u", info.sm_lid);
	return ask_sm(window, &(struct smp_route){.lid = info.sm_lid}, deadline_ns, where, text);
}

/* A switch's capabilities stand in its port 0. */
static bool has_sm(const struct read_node *node)
{
	unsigned last = node->type == SMP_NODE_SWITCH ? 0 : node->port_count;

	for (unsigned port = 0; port <= last; port++) {
		struct smp_port_info info;

		smp_port_info_decode(node->ports[port].info, &info);
		if (node->ports[port].has_info && info.is_sm)
			return true;
	}
	return false;
}

int sm_absent_anywhere(struct umad_window *window, const struct fabric_read *fabric,
        uint64_t deadline_ns, char text[SM_FOUND_BYTES])
{
	for (uint32_t i = 0; i < fabric->count; i++) {
		const struct read_node *node = &fabric->nodes[i];
		char where[SMP_DATA_BYTES + 8];
		int error;

		if (!has_sm(node))
			continue;
		snprintf(where, sizeof(where), "\"%s\"", node->description);
		error = ask_sm(window, &node->route, deadline_ns, where, text);
		if (error)
			return error;
	}
	return 0;
}
