/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/api_state.h"

#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "sm-side/api/api_json.h"
#include "sm-side/json_read.h"

void api_reply(struct evhttp_request *request, int status, struct json_object *body)
{
	struct evbuffer *buffer = evbuffer_new();
	const char *text = json_object_to_json_string_ext(
	        body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (!buffer || !text) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		evbuffer_add_printf(buffer, "%s\n", text);
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
		        "application/json");
		evhttp_send_reply(request, status, NULL, buffer);
	}
	if (buffer)
		evbuffer_free(buffer);
	json_object_put(body);
}

static void reply_id(struct evhttp_request *request, uint64_t id)
{
	struct json_object *answer = json_object_new_object();

	json_put_number(answer, "id", id);
	api_reply(request, API_ACCEPTED, answer);
}

void api_reply_accepted(struct evhttp_request *request)
{
	api_reply(request, API_ACCEPTED, json_object_new_object());
}

void api_refuse(struct evhttp_request *request, int status, const char *reason, const char *text)
{
	api_reply(request, status, api_refusal(reason, text));
}

void api_refuse_malformed(struct evhttp_request *request, const char *wrong)
{
	api_refuse(request, HTTP_BADREQUEST, "bad-request", wrong);
}

void api_refuse_unknown(struct evhttp_request *request)
{
	api_refuse(request, HTTP_NOTFOUND, "unknown-migration",
	        "there is no such migration (or it has been forgotten); see tether status");
}

static int status_of(const char *reason)
{
	if (!strncmp(reason, "unknown-", 8))
		return HTTP_NOTFOUND;
	if (!strcmp(reason, "journal-failed") || !strcmp(reason, "no-memory") ||
	        !strcmp(reason, "shutting-down"))
		return HTTP_SERVUNAVAIL;
	return API_CONFLICT;
}

void api_refuse_admission(struct evhttp_request *request, const struct admission *admission)
{
	api_refuse(request, status_of(admission->reason), admission->reason, admission->text);
}

void api_reply_begun(struct evhttp_request *request, const struct admission *admission, uint64_t id)
{
	if (admission->reason)
		api_refuse_admission(request, admission);
	else
		reply_id(request, id);
}
