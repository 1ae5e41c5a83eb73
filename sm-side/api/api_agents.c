/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* /v1/agents: how the agents are, asked now. */
#include "sm-side/api/api_state.h"

#include <stdlib.h>

#include <event2/http.h>

#include "sm-side/root/agent_poll.h"
#include "sm-side/api/agents_json.h"
#include "sm-side/api/directory_json.h"

/* Who waits for the agents. */
struct agents_client {
	struct agents_client *next;
	struct api *api;
	struct evhttp_request *request;
};

static void client_free(struct agents_client *client)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(client->request);
	struct agents_client **at = &client->api->agents_clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	if (connection)
		evhttp_connection_set_closecb(connection, NULL, NULL);
	free(client);
}

void api_agents_clients_clear(struct api *api)
{
	while (api->agents_clients)
		client_free(api->agents_clients);
}

static void client_closed(struct evhttp_connection *connection, void *context)
{
	struct agents_client *client = context;

	agent_poll_forget(conductor_agents(client->api->conductor), client);
	client_free(client);
}

static void agents_told(void *context, const struct agents *agents)
{
	struct agents_client *client = context, copy = *client;
	uint64_t epoch = conductor_ledger(copy.api->conductor)->epoch;

	struct json_object *told = agents_tell(agents, epoch);

	client_free(client);
	directory_json_agents(
	        json_object_object_get(told, "agents"), conductor_directory(copy.api->conductor));
	api_reply(copy.request, HTTP_OK, told);
}

void api_agents_get(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	struct agents_client *client = calloc(1, sizeof(*client));

	if (!client || agent_poll_wait(conductor_agents(api->conductor), agents_told, client)) {
		free(client);
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	client->api = api;
	client->request = request;
	client->next = api->agents_clients;
	api->agents_clients = client;
	evhttp_connection_set_closecb(
	        evhttp_request_get_connection(request), client_closed, client);
}
