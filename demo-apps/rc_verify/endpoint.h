/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The verbs objects that all QPs share: device, PD, CQ, the counters that the other side's atomics
 * work on, and the port's address as it was at the start. One per process, one thread.
 */
#ifndef RC_VERIFY_ENDPOINT_H
#define RC_VERIFY_ENDPOINT_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/rc_verify/options.h"
#include "demo-apps/verify/device.h"

/* Written by the other side's FETCH_ADD and CMP_SWAP only. */
struct shared_counters {
	uint64_t add, swap;
};

struct endpoint {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_xrcd *xrcd;    /* NULL: not XRC */
	struct ibv_cq *shared_cq; /* NULL: one per QP */
	bool extended_cq;
	struct ibv_device_attr device;
	struct shared_counters *counters;
	struct ibv_mr *counters_mr;
	struct port_address at_start;
	bool uses_grh;
	int gid_index;
	enum ibv_mtu mtu;
	int rd_atomic; /* outstanding READs and atomics per QP */
};

/* A message was printed where this fails. */
int endpoint_open(struct endpoint *endpoint, const struct options *options);
void endpoint_close(struct endpoint *endpoint);
int endpoint_create_cq(struct endpoint *endpoint, int entries, struct ibv_cq **cq);

#endif
