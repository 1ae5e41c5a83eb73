/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * librdmacm and its kernel without either, in place of preload/real_rdmacm.c. Nothing happens by
 * itself: a test says what the kernel tells of an id, and takes devices away from it. As strict as
 * the real ones: an id is known at the channel where its kernel has it and nowhere else, and is not
 * destroyed, nor taken to another channel, while an event of it is not acknowledged.
 */
#ifndef TEST_SHIM_FAKE_RDMACM_H
#define TEST_SHIM_FAKE_RDMACM_H

#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdint.h>

struct fake_rdmacm {
	bool has_no_addresses; /* nothing can be bound */
	bool rings_nothing;    /* no address is resolved, not even the own one */
	bool migrates_nothing;
	unsigned ids, channels; /* that there are, this library's own, too */
	unsigned disconnects;   /* that kernels were asked for */
	unsigned listens;
	const struct rdma_cm_id *called; /* the last that something was asked with */
};
extern struct fake_rdmacm fake_rdmacm;

void fake_rdmacm_reset(void);

/* What its kernel tells of @id from now on. */
void fake_rdmacm_tell(struct rdma_cm_id *id, enum rdma_cm_event_type what);
/* Somebody asks the listener at @port of that host for a connection; false: nobody listens. */
bool fake_rdmacm_ask(uint16_t port);
/* The device of @verbs's place goes: the kernel has none of the ids on it any more. */
void fake_rdmacm_remove(const struct ibv_context *verbs);
/* Ids on that device that the kernel has. */
bool fake_rdmacm_is_gone(const struct rdma_cm_id *id);
/* A program that polls @channel's descriptor has something to read. */
bool fake_rdmacm_is_readable(const struct rdma_event_channel *channel);

#endif
