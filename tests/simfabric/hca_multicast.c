/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_multicast.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/forward.h"
#include "simfabric/hca_port.h"
#include "simfabric/hca_process.h"
#include "simfabric/qpn_table.h"

struct hca_group {
	struct hca_group *next;
	struct hca_queue_pair *qp;
	union ibv_gid gid;
	uint16_t lid;
};

static bool is_group(const struct hca_group *group, const union ibv_gid *gid, uint16_t lid)
{
	return group->lid == lid && !memcmp(&group->gid, gid, sizeof(*gid));
}

static struct hca_group **find(struct hca_queue_pair *qp, const union ibv_gid *gid, uint16_t lid)
{
	struct hca_group **at = &qp->hca->groups;

	while (*at && ((*at)->qp != qp || !is_group(*at, gid, lid)))
		at = &(*at)->next;
	return at;
}

static bool has_room(const struct hca *hca, const union ibv_gid *gid, uint16_t lid)
{
	unsigned all = 0, of_group = 0;

	for (const struct hca_group *group = hca->groups; group; group = group->next) {
		all++;
		of_group += is_group(group, gid, lid);
	}
	return all < HCA_MAX_GROUPS && of_group < HCA_MAX_QPS_OF_GROUP;
}

static void listen(struct hca *hca)
{
	packet_ring_listen(
	        hca->fabric, hca_process.ring_index, hca->groups ? hca->place.port : NO_INDEX);
}

int hca_attach_group(struct hca_queue_pair *qp, const union ibv_gid *gid, uint16_t lid)
{
	struct hca *hca = qp->hca;
	struct hca_group *group;

	if (qp->engine.type != IBV_QPT_UD || gid->raw[0] != 0xff || !forward_is_multicast(lid))
		return -EINVAL;
	if (*find(qp, gid, lid))
		return 0;
	group = has_room(hca, gid, lid) ? calloc(1, sizeof(*group)) : NULL;
	if (!group)
		return -ENOMEM;
	group->qp = qp;
	group->gid = *gid;
	group->lid = lid;
	group->next = hca->groups;
	hca->groups = group;
	listen(hca);
	return 0;
}

static void take_out(struct hca_group **at)
{
	struct hca_group *group = *at;

	*at = group->next;
	free(group);
}

int hca_detach_group(struct hca_queue_pair *qp, const union ibv_gid *gid, uint16_t lid)
{
	struct hca_group **at = find(qp, gid, lid);

	if (!*at)
		return -EINVAL;
	take_out(at);
	listen(qp->hca);
	return 0;
}

bool hca_is_attached(const struct hca_queue_pair *qp)
{
	for (const struct hca_group *group = qp->hca->groups; group; group = group->next) {
		if (group->qp == qp)
			return true;
	}
	return false;
}

void hca_detach_all_groups(struct hca_queue_pair *qp)
{
	struct hca_group **at = &qp->hca->groups;

	if (!hca_is_attached(qp))
		return;
	while (*at) {
		if ((*at)->qp == qp)
			take_out(at);
		else
			at = &(*at)->next;
	}
	listen(qp->hca);
}

static bool is_from(const struct hca_queue_pair *qp, const struct packet *packet)
{
	return packet->src_qpn == qp->engine.qpn && port_has_lid(qp->hca->port, packet->slid);
}

static bool gets(const struct hca_group *group, const struct packet *packet)
{
	struct hca_queue_pair *qp = group->qp;

	return is_group(group, &packet->grh.dgid, packet->dlid) && !is_from(qp, packet) &&
	       forward_pkey_matches(packet->pkey, hca_pkey(qp->hca, qp->engine.attr.pkey_index));
}

void hca_deliver_multicast(const struct packet *packet)
{
	/* The group's GID is in the GRH, which a multicast packet must have. */
	if (!packet->has_grh)
		return;
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		/* What a port sends to itself does not leave it. */
		if (hca->groups && !port_has_lid(hca->port, packet->slid))
			hca_count_received(hca, packet);
		for (struct hca_group *group = hca->groups; group; group = group->next) {
			if (gets(group, packet))
				queue_pair_receive(&group->qp->engine, packet);
		}
	}
}
