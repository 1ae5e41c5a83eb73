/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* /v1/plan: what a move would do. */
#include "sm-side/api/api_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "sm-side/api/dry_run.h"
#include "sm-side/json_read.h"
#include "sm-side/api/plan_json.h"

/* Who waits for the SM. */
struct plan_client {
	struct plan_client *next;
	struct api *api;
	struct evhttp_request *request;
	struct plan_question question;
	struct migration_intent intent;
};

static void client_free(struct plan_client *client)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(client->request);
	struct plan_client **at = &client->api->plan_clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	if (connection)
		evhttp_connection_set_closecb(connection, NULL, NULL);
	free(client);
}

void api_plan_clients_clear(struct api *api)
{
	while (api->plan_clients)
		client_free(api->plan_clients);
}

static void client_closed(struct evhttp_connection *connection, void *context)
{
	struct plan_client *client = context;

	dry_run_forget(client->api->dry_run, client);
	client_free(client);
}

static void refuse_unheard(struct evhttp_request *request)
{
	api_refuse(request, HTTP_SERVUNAVAIL, "sm-not-connected",
	        "the SM does not answer; does OpenSM run with libosmtether.so?");
}

static void answer_tell(const struct plan_client *client, struct evhttp_request *request,
        struct json_object *answer)
{
	const char *reason = json_read_string(answer, "reason");
	const char *text = json_read_string(answer, "text");
	bool ok = false;

	json_read_bool(answer, "ok", &ok);
	if (ok)
		api_reply(request, HTTP_OK, plan_tell(&client->intent, &client->question, answer));
	else
		api_refuse(request, API_CONFLICT, reason ? reason : "bad-answer",
		        text ? text : "the SM refuses and does not say why");
}

static void plan_told(void *context, struct json_object *answer)
{
	struct plan_client *client = context, copy = *client;

	client_free(client);
	if (answer)
		answer_tell(&copy, copy.request, answer);
	else
		refuse_unheard(copy.request);
}

static void client_ask(struct api *api, struct evhttp_request *request,
        const struct plan_question *question, const struct migration_intent *intent)
{
	struct plan_client *client = calloc(1, sizeof(*client));

	if (!client) {
		api_refuse(request, HTTP_SERVUNAVAIL, "no-memory", "tether-smd is out of memory");
		return;
	}
	client->api = api;
	client->request = request;
	client->question = *question;
	client->intent = *intent;
	client->next = api->plan_clients;
	api->plan_clients = client;
	evhttp_connection_set_closecb(
	        evhttp_request_get_connection(request), client_closed, client);
	if (dry_run_ask(api->dry_run, plan_request(intent, question), plan_told, client)) {
		client_free(client);
		refuse_unheard(request);
	}
}

static void plan_ask(struct api *api, struct evhttp_request *request, const char *wrong,
        const struct plan_question *question)
{
	struct migration_intent intent = {.fabric = true};
	struct admission admission;

	if (wrong) {
		api_refuse_malformed(request, wrong);
		return;
	}
	if (!api->dry_run) {
		api_refuse(request, API_CONFLICT, "no-fabric",
		        "there is no subnet manager here (fabric = none), so a move has no plan");
		return;
	}
	admission = admission_check(
	        conductor_inventory(api->conductor), NULL, question->vm, question->to, &intent);
	if (!admission.reason && intent.others)
		admission = admission_refuse("several-vfs",
		        "%s moves with its %u VFs at once, by a plan for each; what one of them "
		        "would "
		        "change is not told here",
		        intent.vm, migration_vf_count(&intent));
	if (admission.reason)
		api_refuse_admission(request, &admission);
	else
		client_ask(api, request, question, &intent);
}

void api_plan_post(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	size_t length;
	const char *body = api_body(request, &length);
	struct plan_question question;
	const char *wrong = plan_question_read(body, length, &question);

	plan_ask(api, request, wrong, &question);
}

static const char *query_read(const char *query, struct plan_question *question)
{
	struct evkeyvalq values;
	struct evkeyval *value;
	const char *wrong = NULL;

	if (evhttp_parse_query_str(query ? query : "", &values))
		return "the query cannot be read";
	TAILQ_FOREACH(value, &values, next)
	{
		if (!wrong)
			wrong = plan_question_put(question, value->key, value->value);
	}
	evhttp_clear_headers(&values);
	return wrong ? wrong : plan_question_lacks(question);
}

void api_plan_get(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	struct plan_question question = {0};
	const char *wrong = query_read(query, &question);

	plan_ask(api, request, wrong, &question);
}
