/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Multicast at the receiving end (IBA 10.5): which queue pairs of this process are attached to
 * which groups, and their copies of a packet. Under the HCA's lock. That a port gets a group's
 * packets at all is the subnet manager's doing, which SA is asked for.
 */
#ifndef SIMFABRIC_HCA_MULTICAST_H
#define SIMFABRIC_HCA_MULTICAST_H

#include "simfabric/hca.h"

enum {
	HCA_MAX_GROUPS = 8192,
	HCA_MAX_QPS_OF_GROUP = 240,
};

/*
 * -EINVAL: not UD, not a multicast GID or LID. -ENOMEM: too many. Attached already: 0, and it stays
 * one attachment.
 */
int hca_attach_group(struct hca_queue_pair *qp, const union ibv_gid *gid, uint16_t lid);
/* -EINVAL: it was not attached. */
int hca_detach_group(struct hca_queue_pair *qp, const union ibv_gid *gid, uint16_t lid);
bool hca_is_attached(const struct hca_queue_pair *qp);
void hca_detach_all_groups(struct hca_queue_pair *qp);

/* A multicast packet has come: a copy to each queue pair attached, the sender excepted. */
void hca_deliver_multicast(const struct packet *packet);

#endif
