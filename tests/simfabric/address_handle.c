/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/address_handle.h"

#include <endian.h>
#include <string.h>

enum {
	GRH_VERSION = 6,
	GRH_NEXT_IBA = 0x1b, /* a base transport header follows */
	FLOW_LABEL_MASK = 0xfffff,
	HOP_LIMIT_MAX = 0xff,
	/* Behind the GRH beside the payload: BTH, DETH and the invariant CRC. */
	DATAGRAM_HEADERS = 12 + 8 + 4,
	SL_MAX = 15,
};

bool address_is_valid(const struct ibv_ah_attr *attr)
{
	return attr->port_num == 1 && attr->dlid && attr->sl <= SL_MAX &&
	       attr->grh.flow_label <= FLOW_LABEL_MASK;
}

void address_of_sender(struct ibv_ah_attr *attr, uint8_t port_num, const struct ibv_wc *wc,
        const struct ibv_grh *grh)
{
	uint32_t word;

	memset(attr, 0, sizeof(*attr));
	attr->dlid = wc->slid;
	attr->sl = wc->sl;
	attr->src_path_bits = wc->dlid_path_bits;
	attr->port_num = port_num;
	if (!(wc->wc_flags & IBV_WC_GRH))
		return;
	word = be32toh(grh->version_tclass_flow);
	attr->is_global = 1;
	attr->grh.dgid = grh->sgid;
	attr->grh.flow_label = word & FLOW_LABEL_MASK;
	attr->grh.traffic_class = (uint8_t)(word >> 20);
	attr->grh.hop_limit = HOP_LIMIT_MAX;
}

void address_write_grh(struct ibv_grh *grh, const struct ibv_ah_attr *attr,
        const union ibv_gid *sgid, uint32_t payload)
{
	grh->version_tclass_flow =
	        htobe32((uint32_t)GRH_VERSION << 28 | (uint32_t)attr->grh.traffic_class << 20 |
	                (attr->grh.flow_label & FLOW_LABEL_MASK));
	grh->paylen = htobe16((uint16_t)(((payload + 3) & ~3u) + DATAGRAM_HEADERS));
	grh->next_hdr = GRH_NEXT_IBA;
	grh->hop_limit = attr->grh.hop_limit;
	grh->sgid = *sgid;
	grh->dgid = attr->grh.dgid;
}
