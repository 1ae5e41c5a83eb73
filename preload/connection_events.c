/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the program hears of its ids, and what of that is a move's alone. */
#include <errno.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "preload/connection_listeners.h"
#include "preload/connection_news.h"

WRAPPER struct rdma_event_channel *rdma_create_event_channel(void)
{
	struct rdma_event_channel *channel;

	connection_depth++;
	channel = rdmacm.rdma_create_event_channel();
	connection_depth--;
	if (!channel)
		return NULL;
	LOCK_GUARD(&cm_lock);
	cm_channel_add(channel);
	return channel;
}

WRAPPER void rdma_destroy_event_channel(struct rdma_event_channel *channel)
{
	pthread_mutex_lock(&cm_lock);
	connection_news_close(channel);
	cm_channel_remove(channel);
	pthread_mutex_unlock(&cm_lock);
	rdmacm.rdma_destroy_event_channel(channel);
}

/* What a device that goes, and a kernel that takes leave for it, make of a connection that lives.
 */
static bool is_of_a_move(enum rdma_cm_event_type what)
{
	return what == RDMA_CM_EVENT_DEVICE_REMOVAL || what == RDMA_CM_EVENT_DISCONNECTED ||
	       what == RDMA_CM_EVENT_TIMEWAIT_EXIT || what == RDMA_CM_EVENT_ADDR_CHANGE;
}

static void note_state(struct cm_id *cm, enum rdma_cm_event_type what)
{
	switch (what) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		cm->state = CM_BOUND;
		break;
	case RDMA_CM_EVENT_CONNECT_RESPONSE:
		cm->state = CM_CONNECTING;
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		cm->state = CM_CONNECTED;
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_REJECTED:
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		cm->state = CM_ENDED;
		break;
	default:
		break;
	}
}

/* Somebody asks for a connection. Its id is the program's from here on; who made the listener anew
 * is not its to know. */
static void note_request(struct rdma_cm_event *event)
{
	struct cm_id *listener = cm_id_find(event->listen_id);
	struct cm_id *asking;

	if (!listener)
		listener = cm_id_of_stand_in(event->listen_id);
	if (listener && listener->stand_in == event->listen_id) {
		event->listen_id = listener->id;
		event->id->context = listener->id->context;
	}
	asking = cm_id_add(event->id, listener && listener->is_sync);
	if (asking)
		asking->state = CM_CONNECTING;
	if (listener)
		listener->unacked++;
}

enum shown { SHOWN, HIDDEN, FOR_A_CALL_THAT_WAITS };

static enum shown look_at_request(struct rdma_cm_event *event)
{
	bool stands_in = cm_id_of_stand_in(event->listen_id);
	const struct cm_id *asking;

	note_request(event);
	asking = cm_id_find(event->id);
	return stands_in && asking && asking->is_sync ? FOR_A_CALL_THAT_WAITS : SHOWN;
}

/* What happens to the id that stands for a listener happens to the listener, until another is to be
 * made. */
static enum shown look_at_other(struct rdma_cm_event *event)
{
	struct cm_id *listener = cm_id_of_stand_in(event->id);
	struct cm_id *cm = listener ? listener : cm_id_find(event->id);
	bool is_over = listener ? listener->wants_stand_in : cm && cm->is_cut;

	if (is_over && is_of_a_move(event->event)) {
		log_debug("cm", "event %d of a connection is of a move", event->event);
		rdmacm.rdma_ack_cm_event(event);
		return HIDDEN;
	}
	if (!cm)
		return SHOWN;
	event->id = cm->id;
	note_state(cm, event->event);
	cm->unacked++;
	return SHOWN;
}

static enum shown look_at(struct rdma_cm_event **event)
{
	LOCK_GUARD(&cm_lock);
	if (connection_news_is_bell((*event)->id)) {
		*event = connection_news_take((*event)->id, *event);
		return *event ? SHOWN : HIDDEN;
	}
	return (*event)->event == RDMA_CM_EVENT_CONNECT_REQUEST ? look_at_request(*event)
	                                                        : look_at_other(*event);
}

static struct rdma_cm_event *unrung(const struct rdma_event_channel *channel)
{
	LOCK_GUARD(&cm_lock);
	return connection_news_unrung(channel);
}

WRAPPER int rdma_get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **event)
{
	struct rdma_cm_event *got;
	enum shown shown = HIDDEN;
	int err;

	if (!event)
		return rdmacm.rdma_get_cm_event(channel, event);
	while (shown == HIDDEN) {
		got = unrung(channel);
		if (got)
			break;
		connection_depth++;
		err = rdmacm.rdma_get_cm_event(channel, &got);
		connection_depth--;
		if (err)
			return err;
		shown = look_at(&got);
	}
	/* As librdmacm does for the listener that this one stands for. */
	if (shown == FOR_A_CALL_THAT_WAITS && rdmacm.rdma_migrate_id(got->id, NULL))
		log_warn("cm", "a connection's id has no channel of its own");
	*event = got;
	return 0;
}

static void note_acknowledged(const struct rdma_cm_event *event)
{
	bool asks = event->event == RDMA_CM_EVENT_CONNECT_REQUEST;
	struct cm_id *cm = cm_id_find(asks ? event->listen_id : event->id);

	if (cm && cm->unacked)
		cm->unacked--;
}

WRAPPER int rdma_ack_cm_event(struct rdma_cm_event *event)
{
	bool is_ours;

	if (!event)
		return rdmacm.rdma_ack_cm_event(event);
	pthread_mutex_lock(&cm_lock);
	is_ours = connection_news_acknowledge(event);
	if (!is_ours)
		note_acknowledged(event);
	pthread_mutex_unlock(&cm_lock);
	return is_ours ? 0 : rdmacm.rdma_ack_cm_event(event);
}
