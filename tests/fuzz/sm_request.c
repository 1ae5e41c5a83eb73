/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A line on the plugin's socket. What is taken is within the bounds that the ops rely on; what is
 * not has a sentence; both have an answer that is one line. */
#include <stdlib.h>
#include <string.h>

#include "sm-side/plugin/sm_answer.h"
#include "sm-side/plugin/sm_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct sm_request *request)
{
	if (request->op > SM_REPORT || request->ms > SM_LEASE_MS_MAX ||
	        request->wait_ms > SM_LEASE_MS_MAX ||
	        !memchr(request->migration, 0, sizeof(request->migration)))
		abort();
	if ((request->op == SM_PLAN || request->op == SM_UNDO) &&
	        (!request->move_count || request->order > PLAN_DROP_FIRST ||
	                request->reach > PLAN_MINIMUM))
		abort();
	if (request->op == SM_REPORT && !request->notices)
		abort();
	for (size_t i = 0; i < request->notice_count; i++)
		if (!request->notices[i].lid || request->notices[i].lid > LID_UNICAST_MAX)
			abort();
	if (request->op == SM_LEASE && (!request->ms || !*request->migration))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *id, *answer;
	struct sm_request request;
	const char *text = NULL;
	enum refusal refused = sm_request_read((const char *)data, size, &id, &request, &text);

	if (refused && !text)
		abort();
	if (!refused)
		check_taken(&request);
	sm_request_clear(&request);
	answer = sm_answer(id, refused, text);
	if (strchr(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN), '\n'))
		abort();
	json_object_put(answer);
	return 0;
}
