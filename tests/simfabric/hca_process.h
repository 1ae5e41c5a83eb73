/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the rooms of the HCA share of the process: its ring, its devices, its queue pairs. For
 * hca.c, hca_objects.c, hca_turn.c, hca_at_hand.c and hca_thread.c only; under the HCA's lock.
 */
#ifndef SIMFABRIC_HCA_PROCESS_H
#define SIMFABRIC_HCA_PROCESS_H

#include <pthread.h>

#include "simfabric/hca.h"
#include "simfabric/packet_ring.h"

enum { HCA_BUCKETS = 1024 };

struct hca_process {
	pthread_mutex_t lock;
	unsigned epoch; /* counts forks */
	struct fabric *fabric;
	struct packet_ring *ring; /* NULL: no device is open */
	uint32_t ring_index;
	struct hca *hcas;
	struct hca_queue_pair *buckets[HCA_BUCKETS]; /* by number, of devices that are not gone */
	struct queue_pair *ready_first, *ready_last;
	uint64_t due_ns; /* the earliest timer of a queue pair, perhaps too early */
};

extern struct hca_process hca_process;

static inline struct hca *hca_of(struct queue_pair *qp)
{
	return (struct hca *)(void *)qp->host;
}

static inline struct hca_queue_pair *hca_owner_of(struct queue_pair *qp)
{
	return (struct hca_queue_pair *)(void *)((char *)qp -
	                                         offsetof(struct hca_queue_pair, engine));
}

/* The engine's view of a new device. */
extern const struct queue_pair_host hca_host_calls;

const struct xrc_srq *hca_find_srq(const struct queue_pair *qp, uint32_t number);

/* Traffic of the port; what it sends to itself does not leave it. */
void hca_count_sent(struct hca *hca, const struct packet *packet);
void hca_count_received(struct hca *hca, const struct packet *packet);
void hca_ready(struct queue_pair *qp);
void hca_forget_ready(const struct queue_pair *gone);
void hca_unlink_queue_pair(struct hca_queue_pair *qp);
/* Tell what has happened to the ports since the last time; costs too much for each turn. */
void hca_watch_ports(void);
/* The parts of a turn (hca_at_hand.c puts them together). The time, for every device; one packet
 * that has come; timers that have run out; completions that were held long enough. */
uint64_t hca_tell_time(void);
void hca_deliver(const struct packet *packet);
void hca_run_timers(uint64_t now_ns);
void hca_release_held_completions(uint64_t now_ns);
/* The one that has waited longest to send; NULL: none. */
struct queue_pair *hca_take_ready(void);
void hca_tell_counters(struct hca *hca);
/* When the next turn is due although no packet comes; UINT64_MAX: never. */
uint64_t hca_next_due_ns(void);

/* The thread that serves while no program does. Under the lock; stop drops it meanwhile. */
int hca_thread_start(void);
void hca_thread_stop(void);
/* As the child of a fork: there is no thread. */
void hca_thread_forget(void);

#endif
