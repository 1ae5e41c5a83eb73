/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What this library knows of the program's rdma_cm_ids: each from its making to its end, in which
 * state it is, and whether its kernel's id has gone with a move ("cut"). Any thread; what is in a
 * cm_id is under the lock. Inside the lock librdmacm is called only with ids of this library's own,
 * or where it asks the kernel alone: it calls wrapped functions otherwise.
 */
#ifndef TETHER_CONNECTION_MANAGER_H
#define TETHER_CONNECTION_MANAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "preload/move.h"
#include "preload/real_rdmacm.h"

enum cm_state {
	CM_IDLE,  /* on no device, or nothing is to come */
	CM_BOUND, /* on its way to a connection: bound, resolving, resolved */
	CM_LISTENING,
	CM_CONNECTING, /* in the handshake */
	CM_CONNECTED,
	CM_ENDED, /* disconnected, refused, given up */
};

struct cm_id {
	struct rdma_cm_id *id;
	enum cm_state state;
	bool is_sync;      /* its channel is its own, and its calls wait */
	unsigned busy;     /* calls that are inside librdmacm with it */
	unsigned unacked;  /* events that the program has got and not acknowledged */
	unsigned groups;   /* that it has joined */
	int backlog;       /* of a listener */
	uint32_t qpn;      /* of the queue pair that it connects; 0: none is known */
	bool asked_to_end; /* rdma_disconnect was called */
	bool is_cut;       /* what its kernel says of its connection, or device, is over */
	struct rdma_event_channel *kernel_channel; /* and where it says it; id->channel is the
	                                              program's */
	bool has_names;                            /* of the connection, when it was cut: */
	struct pair_names names;
	uint64_t cut_by; /* the migration */
	/* Of a listener that was cut: connection_listeners.h */
	struct rdma_cm_id *stand_in;
	bool wants_stand_in, makes_stand_in;
	uint64_t try_ms;
	unsigned pause_ms;
	TAILQ_ENTRY(cm_id) link;
	LIST_ENTRY(cm_id) by_id;
};

TAILQ_HEAD(cm_id_list, cm_id);
extern struct cm_id_list cm_ids;
extern pthread_mutex_t cm_lock;
extern pthread_cond_t cm_changed; /* something that is waited for: busy, events */

/* Under the lock. NULL: not made while this library was there. */
struct cm_id *cm_id_find(const struct rdma_cm_id *id);
struct cm_id *cm_id_of_stand_in(const struct rdma_cm_id *id);
struct cm_id *cm_id_add(struct rdma_cm_id *id, bool is_sync);
void cm_id_remove(struct cm_id *cm);

/* Ours of @qpn on the id's device, or NULL; control verbs kept out. */
struct queue_pair *cm_id_queue_pair(const struct cm_id *cm);

/* Channels that exist; under the lock. */
void cm_channel_add(struct rdma_event_channel *channel);
void cm_channel_remove(struct rdma_event_channel *channel);
bool cm_knows_fd(int fd);
/* Something of rdma_cm was made of which nothing is known here: no memory. */
extern bool cm_has_strangers;

/* This thread is inside librdmacm, so many times. */
extern __thread unsigned connection_depth;

/* Around a call of librdmacm with @id: @cm is NULL where nothing is known of it. */
struct cm_id *cm_call_begin(const struct rdma_cm_id *id);
void cm_call_end(struct cm_id *cm);

/* In a child after fork. */
void connection_manager_forget(void);

#endif
