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
	IPV4_VERSION_IHL = 0x45,
	PROTOCOL_UDP = 17,
	UDP_HEADER = 8,
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

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
	attr->grh.dgid = grh_sgid(grh);
	attr->grh.flow_label = word & FLOW_LABEL_MASK;
	attr->grh.traffic_class = (uint8_t)(word >> 20);
	attr->grh.hop_limit = HOP_LIMIT_MAX;
}

/* ---- what stands in front of a packet ---- */

/* As in struct iphdr; in the last 20 of the 40 bytes. */
struct ipv4_header {
	uint8_t version_ihl, tos;
	__be16 length, id, fragment;
	uint8_t ttl, protocol;
	uint16_t check;
	uint8_t source[4], destination[4];
};

static const struct ipv4_header *ipv4_of(const struct ibv_grh *grh)
{
	const struct ipv4_header *header =
	        (const void *)((const char *)grh + sizeof(*grh) - sizeof(*header));

	if (be32toh(grh->version_tclass_flow) >> 28 == GRH_VERSION)
		return NULL;
	return header->version_ihl == IPV4_VERSION_IHL ? header : NULL;
}

static bool is_mapped(const union ibv_gid *gid)
{
	return !memcmp(gid->raw, mapped_prefix, sizeof(mapped_prefix));
}

static union ibv_gid mapped(const uint8_t address[4])
{
	union ibv_gid gid;

	memcpy(gid.raw, mapped_prefix, sizeof(mapped_prefix));
	memcpy(gid.raw + sizeof(mapped_prefix), address, 4);
	return gid;
}

union ibv_gid grh_sgid(const struct ibv_grh *grh)
{
	const struct ipv4_header *header = ipv4_of(grh);

	return header ? mapped(header->source) : grh->sgid;
}

union ibv_gid grh_dgid(const struct ibv_grh *grh)
{
	const struct ipv4_header *header = ipv4_of(grh);

	return header ? mapped(header->destination) : grh->dgid;
}

/* RFC 1071. */
static uint16_t checksum(const struct ipv4_header *header)
{
	uint16_t words[sizeof(*header) / 2];
	uint32_t sum = 0;

	memcpy(words, header, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void write_ipv4(struct ibv_grh *grh, const struct ibv_ah_attr *attr,
        const union ibv_gid *sgid, uint32_t payload)
{
	struct ipv4_header header = {
	        .version_ihl = IPV4_VERSION_IHL,
	        .tos = attr->grh.traffic_class,
	        .length = htobe16((uint16_t)(sizeof(header) + UDP_HEADER + ((payload + 3) & ~3u) +
	                                     DATAGRAM_HEADERS)),
	        .ttl = attr->grh.hop_limit,
	        .protocol = PROTOCOL_UDP,
	};

	memcpy(header.source, sgid->raw + sizeof(mapped_prefix), sizeof(header.source));
	memcpy(header.destination, attr->grh.dgid.raw + sizeof(mapped_prefix),
	        sizeof(header.destination));
	header.check = checksum(&header);
	memset(grh, 0, sizeof(*grh));
	memcpy((char *)grh + sizeof(*grh) - sizeof(header), &header, sizeof(header));
}

void address_write_grh(struct ibv_grh *grh, const struct ibv_ah_attr *attr,
        const union ibv_gid *sgid, uint32_t payload)
{
	if (is_mapped(sgid)) {
		write_ipv4(grh, attr, sgid, payload);
		return;
	}
	grh->version_tclass_flow =
	        htobe32((uint32_t)GRH_VERSION << 28 | (uint32_t)attr->grh.traffic_class << 20 |
	                (attr->grh.flow_label & FLOW_LABEL_MASK));
	grh->paylen = htobe16((uint16_t)(((payload + 3) & ~3u) + DATAGRAM_HEADERS));
	grh->next_hdr = GRH_NEXT_IBA;
	grh->hop_limit = attr->grh.hop_limit;
	grh->sgid = *sgid;
	grh->dgid = attr->grh.dgid;
}
