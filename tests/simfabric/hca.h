/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The software HCA: what this process has of it. Queue pairs, completion queues and memory regions
 * are private memory; only packets and queue pair numbers are shared with other processes.
 *
 * One lock, hca_lock, guards all of it. Everything moves in turns (hca_turn): packets come in,
 * timers run out, packets go out. Turns are taken by whoever is at hand: a program that posts or
 * polls, else the process's own thread, which sleeps until a packet, a timer or a detach comes, so
 * that a program which waits for nothing is served as by hardware.
 *
 * After fork the child has none of this: what it inherited belongs to its parent (hca_epoch tells).
 * It may open the device anew.
 */
#ifndef SIMFABRIC_HCA_H
#define SIMFABRIC_HCA_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/attach.h"
#include "simfabric/data_faults.h"
#include "simfabric/queue_pair_engine.h"
#include "simfabric/topology.h"
#include "simfabric/xrc.h"

/* What a device says it has; a hypervisor may let its VFs say less (attach_max_qp). */
enum {
	HCA_MAX_QP = 1 << 14,
	HCA_MAX_MR = 1 << 24,
	HCA_CAPABILITIES = IBV_DEVICE_CURR_QP_STATE_MOD | IBV_DEVICE_RC_RNR_NAK_GEN |
	                   IBV_DEVICE_SYS_IMAGE_GUID | IBV_DEVICE_PORT_ACTIVE_EVENT |
	                   IBV_DEVICE_SRQ_RESIZE | IBV_DEVICE_N_NOTIFY_CQ | IBV_DEVICE_XRC |
	                   IBV_DEVICE_MEM_WINDOW | IBV_DEVICE_MEM_WINDOW_TYPE_2B |
	                   IBV_DEVICE_MEM_MGT_EXTENSIONS,
	HCA_MAX_WR = 16384,
	HCA_MAX_SGE = QUEUE_MAX_SGE,
	HCA_MAX_INLINE = 1024, /* more than a packet of the shorter MTUs: some devices have 912 */
	HCA_MAX_CQE = 1 << 20,
	HCA_MAX_MESSAGE = 1 << 30,
	HCA_MAX_MODERATION = UINT16_MAX, /* completions or microseconds */
};

struct hca;

struct hca_clock {
	uint64_t begin, khz;
	uint64_t mask; /* the bits of a timestamp that count */
};

struct hca_queue_pair {
	struct queue_pair engine;
	struct hca *hca;
	struct hca_queue_pair *next; /* of its hash bucket */
	struct hca_queue_pair *next_of_hca;
	/* Under the HCA's lock; may take no other lock of this room. */
	void (*event)(struct hca_queue_pair *qp, enum ibv_event_type type);
	void (*srq_taken)(struct hca_queue_pair *qp, struct receive_queue *queue);
	uint32_t last_ring, last_packet; /* the last packet sent, for is_under_way */
	bool has_sent;
	struct fault_cut cut;
};

struct hca_completion_queue {
	struct completion_queue queue;
	struct hca_completion_queue *next_of_hca;
	void (*overrun)(struct hca_completion_queue *cq);
};

struct hca_shared_queue {
	struct receive_queue queue;
	struct xrc_srq srq;
	struct hca_shared_queue *next_of_hca;
};

/* A device of this process: opened at one place, alive until that place is taken away. */
struct hca {
	struct queue_pair_host host; /* first: the engine's callbacks find the HCA by it */
	struct fabric *fabric;
	struct hca_place place;
	const struct port *port;
	struct data_faults *faults;
	uint32_t faults_seen; /* faults->changes that it has looked at */
	bool is_ethernet;
	unsigned table_shift; /* GIDs and P_Keys stand so many places further on */
	struct hca_clock clock;
	struct hca_queue_pair *queue_pairs;
	struct hca_completion_queue *completion_queues;
	struct hca_group *groups; /* that queue pairs are attached to: hca_multicast.c */
	struct hca_shared_queue *shared_queues;
	unsigned contexts;
	struct {
		uint32_t packets;
		uint64_t bytes;
	} sent, received; /* not yet told to the port's counters */
	bool is_gone;     /* surprise detach: nothing works any more */
	uint64_t events_told[PORT_EVENT_COUNT];
	/* Called under the lock: once, when it goes, and when something has happened to its port.
	 * Set by whoever opens. */
	void (*gone)(struct hca *hca);
	void (*port_event)(struct hca *hca, enum port_event event);
	struct hca *next;
};

/*
 * The device that this process sees now under that name, held for one more context. -ENODEV: none;
 * -EUSERS: too many processes; -ENOMEM. Starts the process's thread with the first one.
 */
int hca_open(const char *device_name, struct hca **hca);
/* One context less; the last one gives the VF back. All objects are destroyed before. */
void hca_close(struct hca *hca);

/* Lock, after finding out what has been taken away meanwhile. */
void hca_lock(void);
void hca_unlock(void);
/* The object was made by the parent of this process: @epoch is hca_epoch() of when it was made. */
unsigned hca_epoch(void);

/* ---- under the lock ---- */

/* Number the queue pair and let packets find it. @config.host, .qpn are filled in. */
int hca_add_queue_pair(
        struct hca *hca, struct hca_queue_pair *qp, const struct queue_pair_config *config);
/* No packet will be delivered to it any more; its completions are purged or kept (data_faults). */
void hca_remove_queue_pair(struct hca_queue_pair *qp);
/* As queue_pair_modify, with what the port and the settings have to say. */
int hca_modify_queue_pair(struct hca_queue_pair *qp, const struct ibv_qp_attr *attr, int mask);
void hca_query_queue_pair(struct hca_queue_pair *qp, struct ibv_qp_attr *attr);
struct hca_queue_pair *hca_find_queue_pair(uint32_t qpn);

int hca_add_completion_queue(struct hca *hca, struct hca_completion_queue *cq, uint32_t capacity);
void hca_remove_completion_queue(struct hca *hca, struct hca_completion_queue *cq);

/* Number an SRQ, which a packet can name if it is in a domain. -ENOSPC: no number is left. */
int hca_add_shared_queue(struct hca *hca, struct hca_shared_queue *shared);
void hca_remove_shared_queue(struct hca *hca, struct hca_shared_queue *shared);

/* Send what the queue pair has to send, as far as there is room. */
void hca_transmit(struct hca_queue_pair *qp);
/* One turn. True: something moved. */
bool hca_turn(void);
uint64_t hca_now_ns(void);
/* The device's own clock at a time of that one, in ticks since another moment for each device. */
uint64_t hca_clock(const struct hca *hca, uint64_t at_ns);

/* A program took a turn because it polls; one that does so in vain again and again serves the HCA.
 */
void hca_polled(bool in_vain);
/* It will wait for an event: from now on the thread serves. */
void hca_stops_polling(void);

#endif
