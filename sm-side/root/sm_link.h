/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The link to the plugin in OpenSM: JSON lines over a unix socket, connected again whenever it
 * ends; it is up when both ends have agreed on a version. Lives in the thread of its event_base;
 * never blocks. Callbacks come from the loop only, never from inside a call below.
 */
#ifndef TETHER_SM_LINK_H
#define TETHER_SM_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

struct event_base;
struct sm_link;

struct sm_link_callbacks {
	void (*up)(void *owner);
	/* Answers to what was asked before will not come any more. */
	void (*down)(void *owner, const char *why);
	void (*answer)(void *owner, uint64_t id, struct json_object *answer);
};

/* @retry_ms: first pause before connecting again; doubles up to a second. NULL with errno. */
struct sm_link *sm_link_create(struct event_base *base, const char *path, unsigned retry_ms,
        const struct sm_link_callbacks *callbacks, void *owner);
void sm_link_retry_set(struct sm_link *link, unsigned retry_ms);
void sm_link_destroy(struct sm_link *link);

bool sm_link_is_up(const struct sm_link *link);
/* Of the protocol, that both ends speak; 0: it is not up. */
uint32_t sm_link_version(const struct sm_link *link);

/* Send @request (put in any case); *@id is what its answer comes with. -ENOTCONN; -ENOMEM. */
int sm_link_ask(struct sm_link *link, struct json_object *request, uint64_t *id);

#endif
