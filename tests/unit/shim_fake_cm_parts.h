/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the parts of the fake librdmacm know of each other's: ids (shim_fake_rdmacm.c), its list of
 * devices (shim_fake_cm_devices.c), channels and events (shim_fake_cm_events.c).
 */
#ifndef TEST_SHIM_FAKE_CM_PARTS_H
#define TEST_SHIM_FAKE_CM_PARTS_H

#include <sys/queue.h>

#include "tests/unit/shim_fake_rdmacm.h"

struct fake_cm_device;

struct fake_cm_id {
	struct rdma_cm_id shown;
	struct rdma_event_channel *kernel; /* where its kernel has it */
	bool is_sync, is_gone, listens;
	struct fake_cm_device *device;
	unsigned reported, completed;
	TAILQ_ENTRY(fake_cm_id) link;
};

TAILQ_HEAD(fake_cm_ids, fake_cm_id);
extern struct fake_cm_ids fake_cm_ids;

struct fake_cm_id *fake_cm_id_make(struct rdma_event_channel *channel, void *context);

/* An id's device is found, opened and used; by whoever it is last used it is let go of. */
int fake_cm_attach(struct fake_cm_id *id, const struct sockaddr *address);
void fake_cm_device_put(struct fake_cm_device *device);
struct ibv_context **fake_cm_get_devices(int *count);
void fake_cm_devices_reset(void);

struct rdma_event_channel *fake_cm_create_channel(void);
void fake_cm_destroy_channel(struct rdma_event_channel *channel);
int fake_cm_get_event(struct rdma_event_channel *channel, struct rdma_cm_event **shown);
int fake_cm_ack_event(struct rdma_cm_event *shown);
/* What nobody has read of @id is lost, or is to be read there. */
void fake_cm_events_drop(const struct fake_cm_id *id);
void fake_cm_events_move(const struct fake_cm_id *id, const struct rdma_event_channel *to);

#endif
