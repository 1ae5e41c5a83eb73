/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/sm_link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/timer.h"
#include "notifier/wire/versions.h"
#include "sm-side/json_read.h"

enum {
	RETRY_MAX_MS = 1000,
	HELLO_MS = 3000,           /* `hello` needs nothing of OpenSM, whatever that is at */
	LINE_MAX_BYTES = 16 << 20, /* a plan lists the blocks that it changes */
	READ_BYTES = 1 << 16,
};

struct sm_link {
	struct event_base *base;
	struct bufferevent *stream; /* NULL: waiting to connect again */
	struct event
	        *retry; /* connect again; with a stream that is not up: `hello` is not answered */
	struct sockaddr_un address;
	unsigned retry_first_ms, retry_ms;
	bool up;
	uint32_t version; /* while it is up */
	bool complained;  /* of one that speaks no version that is known here, or nothing */
	uint64_t last_id;
	const struct sm_link_callbacks *callbacks;
	void *owner;
};

static void link_connect(struct sm_link *link);

static void retry_arm(struct sm_link *link)
{
	timer_set(link->retry, link->retry_ms);
	link->retry_ms = link->retry_ms * 2 < RETRY_MAX_MS ? link->retry_ms * 2 : RETRY_MAX_MS;
}

static void link_close(struct sm_link *link, const char *why)
{
	bool was_up = link->up;

	bufferevent_free(link->stream);
	link->stream = NULL;
	link->up = false;
	retry_arm(link);
	if (was_up) {
		log_warn("sm", "link to the SM lost: %s", why);
		link->callbacks->down(link->owner, why);
	}
}

static void link_up(struct sm_link *link, uint32_t version)
{
	event_del(link->retry);
	link->up = true;
	link->version = version;
	link->complained = false;
	link->retry_ms = link->retry_first_ms;
	log_info(
	        "sm", "linked to the SM at %s, protocol %" PRIu32, link->address.sun_path, version);
	link->callbacks->up(link->owner);
}

static void versions_complain(struct sm_link *link, uint32_t oldest, uint32_t newest)
{
	char theirs[64], ours[64];

	versions_name(oldest, newest, theirs, sizeof(theirs));
	versions_name(versions_oldest(), versions_newest(), ours, sizeof(ours));
	if (!link->complained)
		log_error("sm",
		        "libosmtether.so at %s speaks %s of the protocol, this tether-smd %s: they "
		        "may be one version apart, so the older has to be replaced",
		        link->address.sun_path, theirs, ours);
	link->complained = true;
	link_close(link, "no version in common");
}

/* One that knows no such question is older than the oldest. */
static void hello_answered(struct sm_link *link, struct json_object *answer)
{
	uint64_t oldest = VERSION_SAID_SINCE - 1, newest = 0;
	uint32_t version;
	bool ok = false;

	json_read_bool(answer, "ok", &ok);
	if (ok && (json_read_number(answer, "oldest", UINT32_MAX, &oldest) ||
	                  json_read_number(answer, "newest", UINT32_MAX, &newest))) {
		link_close(link, "not an answer");
		return;
	}
	version = versions_common((uint32_t)oldest, (uint32_t)newest);
	if (version)
		link_up(link, version);
	else
		versions_complain(link, (uint32_t)oldest, (uint32_t)newest);
}

/* False: the link has been closed. */
static bool line_take(struct sm_link *link, const char *line, size_t length)
{
	struct json_object *answer = json_read_whole(line, length);
	uint64_t id;

	if (!answer || json_read_number(answer, "id", UINT64_MAX, &id)) {
		json_object_put(answer);
		link_close(link, "not an answer");
		return false;
	}
	if (link->up)
		link->callbacks->answer(link->owner, id, answer);
	else
		hello_answered(link, answer);
	json_object_put(answer);
	return link->stream != NULL;
}

static void readable(struct bufferevent *stream, void *context)
{
	struct evbuffer *input = bufferevent_get_input(stream);
	struct sm_link *link = context;
	size_t length;
	char *line;

	while ((line = evbuffer_readln(input, &length, EVBUFFER_EOL_LF))) {
		bool open = line_take(link, line, length);

		free(line);
		if (!open)
			return;
	}
	if (evbuffer_get_length(input) > LINE_MAX_BYTES)
		link_close(link, "a line without end");
}

static void hello_say(struct sm_link *link)
{
	static const char hello[] = "{\"id\":0,\"op\":\"hello\"}\n";

	if (evbuffer_add(bufferevent_get_output(link->stream), hello, sizeof(hello) - 1))
		link_close(link, "no memory");
	else
		timer_set(link->retry, HELLO_MS);
}

/* It may hang, and be another one when it is asked again. */
static void hello_overdue(struct sm_link *link)
{
	if (!link->complained)
		log_error("sm",
		        "whoever listens at %s does not answer `hello` within %d ms: OpenSM hangs "
		        "there, or it is not libosmtether.so; it is asked again and again",
		        link->address.sun_path, HELLO_MS);
	link->complained = true;
	link_close(link, "hello is not answered");
}

static void happened(struct bufferevent *stream, short what, void *context)
{
	struct sm_link *link = context;

	if (what & BEV_EVENT_CONNECTED) {
		hello_say(link);
		return;
	}
	link_close(link, what & BEV_EVENT_EOF ? "closed by the SM" : strerror(errno));
}

static void link_connect(struct sm_link *link)
{
	link->stream = bufferevent_socket_new(link->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!link->stream) {
		retry_arm(link);
		return;
	}
	bufferevent_setcb(link->stream, readable, NULL, happened, link);
	bufferevent_set_max_single_read(link->stream, READ_BYTES);
	bufferevent_enable(link->stream, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(
	            link->stream, (struct sockaddr *)&link->address, sizeof(link->address)) &&
	        link->stream)
		link_close(link, strerror(errno));
}

static void retry_due(evutil_socket_t unused, short what, void *context)
{
	struct sm_link *link = context;

	if (!link->stream)
		link_connect(link);
	else if (!link->up)
		hello_overdue(link);
}

struct sm_link *sm_link_create(struct event_base *base, const char *path, unsigned retry_ms,
        const struct sm_link_callbacks *callbacks, void *owner)
{
	struct sm_link *link;
	struct timeval now = {0};

	if (strlen(path) >= sizeof(link->address.sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->base = base;
	link->address.sun_family = AF_UNIX;
	strcpy(link->address.sun_path, path);
	link->retry_first_ms = link->retry_ms = retry_ms;
	link->callbacks = callbacks;
	link->owner = owner;
	link->retry = evtimer_new(base, retry_due, link);
	if (!link->retry) {
		free(link);
		errno = ENOMEM;
		return NULL;
	}
	/* From the loop, so that nothing is called back before the owner has the link. */
	event_add(link->retry, &now);
	return link;
}

void sm_link_retry_set(struct sm_link *link, unsigned retry_ms)
{
	link->retry_first_ms = retry_ms;
}

void sm_link_destroy(struct sm_link *link)
{
	if (!link)
		return;
	if (link->stream)
		bufferevent_free(link->stream);
	event_free(link->retry);
	free(link);
}

bool sm_link_is_up(const struct sm_link *link)
{
	return link->up;
}

uint32_t sm_link_version(const struct sm_link *link)
{
	return link->up ? link->version : 0;
}

int sm_link_ask(struct sm_link *link, struct json_object *request, uint64_t *id)
{
	struct evbuffer *output;
	const char *text;
	int err = 0;

	if (!link->up) {
		json_object_put(request);
		return -ENOTCONN;
	}
	output = bufferevent_get_output(link->stream);
	json_put_number(request, "id", ++link->last_id);
	json_put_number(request, "protocol", link->version);
	text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	if (!text || evbuffer_add_printf(output, "%s\n", text) < 0)
		err = -ENOMEM;
	else
		*id = link->last_id;
	json_object_put(request);
	return err;
}
