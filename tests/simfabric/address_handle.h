/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Address handles: where a datagram goes. The application owns them; a request takes a copy when it
 * is posted, as an adapter does, so that a handle may be destroyed right afterwards.
 */
#ifndef SIMFABRIC_ADDRESS_HANDLE_H
#define SIMFABRIC_ADDRESS_HANDLE_H

#include <stdbool.h>
#include <infiniband/verbs.h>

struct address_handle {
	struct ibv_ah ah;
	struct ibv_ah_attr attr;
};

static inline const struct ibv_ah_attr *address_of(const struct ibv_ah *ah)
{
	return &((const struct address_handle *)(const void *)ah)->attr;
}

/* What every port refuses; whether sgid_index is in its table the caller knows. */
bool address_is_valid(const struct ibv_ah_attr *attr);

/*
 * The way back to whoever sent the datagram of @wc, whose GRH, if it has one, is @grh. The caller
 * finds the index of @grh's dgid in its table: *@attr has none yet.
 */
void address_of_sender(struct ibv_ah_attr *attr, uint8_t port_num, const struct ibv_wc *wc,
        const struct ibv_grh *grh);

/*
 * Who has sent a packet with that header, and to whom. It is a GRH, or behind 20 bytes of zeros a
 * header of IPv4 (RoCE v2).
 */
union ibv_gid grh_sgid(const struct ibv_grh *grh);
union ibv_gid grh_dgid(const struct ibv_grh *grh);

/*
 * The GRH (IBA 8.3) of a datagram with @payload bytes behind its base header; from an IPv4-mapped
 * GID the header that stands in its place (IBA A17.4.5.1).
 */
void address_write_grh(struct ibv_grh *grh, const struct ibv_ah_attr *attr,
        const union ibv_gid *sgid, uint32_t payload);

#endif
