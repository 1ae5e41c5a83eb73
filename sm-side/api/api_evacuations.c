/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* /v1/evacuations: hosts that are being emptied. */
#include "sm-side/api/api_state.h"

#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

#include "sm-side/api/evacuation_json.h"
#include "sm-side/conductor/evacuator.h"
#include "sm-side/json_read.h"

static const struct evacuations *evacuations_of(const struct api *api)
{
	return evacuator_evacuations(api->evacuator);
}

void api_evacuations_get(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	api_reply(request, HTTP_OK, evacuations_tell(evacuations_of(api)));
}

void api_evacuations_post(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	size_t length;
	const char *body = api_body(request, &length);
	struct evacuation_wish wish;
	const char *wrong = evacuation_wish_read(body, length, &wish);
	struct admission admission;
	uint64_t id = 0;

	if (wrong) {
		api_refuse_malformed(request, wrong);
		return;
	}
	admission = evacuator_begin(api->evacuator, &wish, &id);
	free(wish.to);
	api_reply_begun(request, &admission, id);
}

static void refuse_unknown_evacuation(struct evhttp_request *request)
{
	api_refuse(request, HTTP_NOTFOUND, "unknown-evacuation",
	        "there is no such evacuation (or it has been forgotten)");
}

void api_evacuation_tell(struct api *api, struct evhttp_request *request, uint64_t id)
{
	const struct evacuation *evacuation = evacuations_find(evacuations_of(api), id);

	if (evacuation)
		api_reply(request, HTTP_OK, evacuation_tell(evacuation, false));
	else
		refuse_unknown_evacuation(request);
}

bool api_evacuation_is_news(const struct api *api, uint64_t id, unsigned seen)
{
	const struct evacuation *evacuation = evacuations_find(evacuations_of(api), id);

	return !evacuation || evacuation->ended || evacuation->changes > seen;
}

void api_evacuation_get(struct api *api, struct evhttp_request *request, uint64_t id)
{
	struct waiter asked = {.id = id, .of = WAITS_FOR_EVACUATION};
	bool waits = false;
	const char *wrong = api_query_parse(request, &asked, &waits);

	if (wrong)
		api_refuse_malformed(request, wrong);
	else if (!waits || api_evacuation_is_news(api, id, asked.seen) ||
	         !api_wait(api, request, &asked))
		api_evacuation_tell(api, request, id);
}

void api_evacuation_abort(struct api *api, struct evhttp_request *request, uint64_t id)
{
	const char *reason = evacuator_abort(api->evacuator, id);

	if (!reason)
		api_reply_accepted(request);
	else if (!strcmp(reason, "unknown-evacuation"))
		refuse_unknown_evacuation(request);
	else if (!strcmp(reason, "journal-failed"))
		api_refuse(request, HTTP_SERVUNAVAIL, reason,
		        "it could not be written to the journal, so the evacuation goes on; is its "
		        "disk full?");
	else
		api_refuse(request, API_CONFLICT, reason, "the evacuation has ended");
}
