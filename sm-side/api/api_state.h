/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the API knows; shared by api.c (listening), api_routes.c (who asks for what), api_plan.c
 * (dry runs), api_agents.c, api_evacuations.c, api_vms.c, api_waiting.c (who waits for news) and
 * api_reply.c (what they hear), and by nobody else.
 */
#ifndef TETHER_API_STATE_H
#define TETHER_API_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/api/api.h"

/* HTTP statuses that libevent has no names for. */
enum { API_ACCEPTED = 202, API_FORBIDDEN = 403, API_CONFLICT = 409 };

struct admission;
struct agents_client;
struct dry_run;
struct evacuator;
struct evhttp_request;
struct followed;
struct http_listener;
struct json_object;
struct plan_client;

enum waits_for { WAITS_FOR_MIGRATION, WAITS_FOR_EVACUATION, WAITS_FOR_VM };

/* A client that waits for news of one migration, evacuation, or VM that comes or goes. */
struct waiter {
	struct waiter *next;
	struct api *api;
	struct evhttp_request *request;
	struct event *timeout;
	uint64_t id;
	enum waits_for of;
	unsigned seen;
	int state; /* wait for this one; -1: for any change after `seen` */
};

struct api {
	struct event_base *base;
	struct evhttp *http;
	struct http_listener *listener; /* http's */
	char *path;
	struct conductor *conductor;
	struct evacuator *evacuator;
	struct dry_run *dry_run; /* NULL: no fabric */
	struct plan_client *plan_clients;
	struct agents_client *agents_clients;
	struct waiter *waiters;
	unsigned waiter_count;
	struct followed *followed; /* migrations whose end somebody waits for */
};

/* api_reply.c */
/* Puts @body. */
void api_reply(struct evhttp_request *request, int status, struct json_object *body);
void api_refuse(struct evhttp_request *request, int status, const char *reason, const char *text);
/* 400: @wrong with its body or its query. */
void api_refuse_malformed(struct evhttp_request *request, const char *wrong);
void api_refuse_unknown(struct evhttp_request *request);
/* 202, with nothing. */
void api_reply_accepted(struct evhttp_request *request);
/* With the status that its reason has. */
void api_refuse_admission(struct evhttp_request *request, const struct admission *admission);
/* 202, with the number of what has begun; or refused by @admission. */
void api_reply_begun(
        struct evhttp_request *request, const struct admission *admission, uint64_t id);

/* api_waiting.c */
/* Somebody waits for the end of migration @id. */
void api_follow(struct api *api, uint64_t id);
void api_followed_clear(struct api *api);
/* What @entry is now; where that is its end, it is noted that it has been told. */
void api_migration_tell(
        struct api *api, struct evhttp_request *request, const struct ledger_entry *entry);
bool api_is_awaited_no_more(const struct waiter *waiter, const struct ledger_entry *entry);
/* False: cannot wait, so answer now. */
bool api_wait(struct api *api, struct evhttp_request *request, const struct waiter *asked);
void api_waiter_free(struct waiter *waiter);

/* api_plan.c */
void api_plan_get(struct api *api, struct evhttp_request *request, uint64_t unused);
void api_plan_post(struct api *api, struct evhttp_request *request, uint64_t unused);
void api_plan_clients_clear(struct api *api);

/* api_agents.c */
void api_agents_get(struct api *api, struct evhttp_request *request, uint64_t unused);
void api_agents_clients_clear(struct api *api);

/* api_evacuations.c */
void api_evacuations_get(struct api *api, struct evhttp_request *request, uint64_t unused);
void api_evacuations_post(struct api *api, struct evhttp_request *request, uint64_t unused);
void api_evacuation_get(struct api *api, struct evhttp_request *request, uint64_t id);
void api_evacuation_abort(struct api *api, struct evhttp_request *request, uint64_t id);
void api_evacuation_tell(struct api *api, struct evhttp_request *request, uint64_t id);
/* It has ended, or changed since @seen changes. */
bool api_evacuation_is_news(const struct api *api, uint64_t id, unsigned seen);

/* api_vms.c */
void api_vms_get(struct api *api, struct evhttp_request *request, uint64_t unused);
void api_vms_post(struct api *api, struct evhttp_request *request, uint64_t unused);
void api_vm_get(struct api *api, struct evhttp_request *request, const char *name);
void api_vm_release(struct api *api, struct evhttp_request *request, const char *name);
void api_vm_delete(struct api *api, struct evhttp_request *request, const char *name);
/* The VM that the change is of. */
void api_vm_change_tell(struct api *api, struct evhttp_request *request, uint64_t id);
/* It has ended, or changed since @seen changes. */
bool api_vm_is_news(const struct api *api, uint64_t id, unsigned seen);

/* api_routes.c */
/* In place, not ended by 0; "" where there is none. */
const char *api_body(struct evhttp_request *request, size_t *length);
/* ?wait=STATE (of a migration alone) or change, ?seen=NUMBER; NULL or what is wrong. @asked says
 * what of. *@waits: something was asked. */
const char *api_query_parse(struct evhttp_request *request, struct waiter *asked, bool *waits);
void api_route(struct evhttp_request *request, void *api);

#endif
