/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_ethernet.h"

#include <string.h>

#include "tests/unit/shim_fake_hca.h"

enum { ADDRESS_THAT_STAYS = 77, SECOND_ADDRESS = 78, UDP = 0x11, ROCE_V1 = 0x1b, IPV4 = 20 };

union ibv_gid fake_link_local_gid(unsigned host)
{
	return (union ibv_gid){
	        .raw = {0xfe, 0x80, [8] = 2, [11] = 0xff, [12] = 0xfe, [15] = (uint8_t)host}};
}

union ibv_gid fake_ipv4_gid(unsigned host)
{
	return (union ibv_gid){
	        .raw = {[10] = 0xff, [11] = 0xff, [12] = 10, [14] = 1, [15] = (uint8_t)host}};
}

bool fake_ethernet_gid(const struct hca *hca, unsigned index, struct ibv_gid_entry *entry)
{
	unsigned which = (index + hca->host) % FAKE_ETHERNET_GIDS;

	if (index == FAKE_ETHERNET_GIDS && fake.second_address && hca->is_vm && hca->host == 1) {
		*entry = (struct ibv_gid_entry){.gid = fake_ipv4_gid(SECOND_ADDRESS),
		        .gid_index = index,
		        .port_num = 1,
		        .gid_type = IBV_GID_TYPE_ROCE_V2};
		return true;
	}
	if (index >= FAKE_ETHERNET_GIDS || (which == 2 && hca->is_vm && fake.lacks_ipv4))
		return false;
	*entry = (struct ibv_gid_entry){.gid = fake_link_local_gid(hca->host),
	        .gid_index = index,
	        .port_num = 1,
	        .gid_type = which ? IBV_GID_TYPE_ROCE_V2 : IBV_GID_TYPE_ROCE_V1};
	if (which == 2)
		entry->gid = fake_ipv4_gid(
		        hca->is_vm && fake.address_stays ? ADDRESS_THAT_STAYS : hca->host);
	return true;
}

static bool has(const struct hca *hca, const union ibv_gid *gid)
{
	struct ibv_gid_entry entry;
	bool found = false;

	for (unsigned i = 0; i <= FAKE_ETHERNET_GIDS; i++)
		found |=
		        fake_ethernet_gid(hca, i, &entry) && !memcmp(&entry.gid, gid, sizeof(*gid));
	return found;
}

struct hca *fake_ethernet_at(const union ibv_gid *gid)
{
	struct hca *there[2];
	unsigned count = fake_present(there);

	while (count--) {
		if (has(there[count], gid))
			return there[count];
	}
	return NULL;
}

/* ---- headers ---- */

static uint16_t complement_of_sum(const uint8_t *bytes, unsigned count)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < count; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Before it stands whatever was there. */
static void put_ipv4(
        uint8_t *header, const union ibv_gid *from, const union ibv_gid *to, uint32_t length)
{
	uint16_t sum;

	memset(header, 0x66, IPV4);
	header += IPV4;
	memset(header, 0, IPV4);
	header[0] = 0x45;
	header[2] = (uint8_t)(length >> 8);
	header[3] = (uint8_t)length;
	header[8] = 64;
	header[9] = UDP;
	memcpy(header + 12, from->raw + 12, 4);
	memcpy(header + 16, to->raw + 12, 4);
	sum = complement_of_sum(header, IPV4);
	header[10] = (uint8_t)(sum >> 8);
	header[11] = (uint8_t)sum;
}

void fake_ethernet_header(const struct hca *from, const struct ibv_ah_attr *to, uint32_t length,
        uint8_t header[FAKE_GRH_BYTES])
{
	const union ibv_gid *there = &to->grh.dgid;
	struct ibv_gid_entry source = {0};

	fake_ethernet_gid(from, to->grh.sgid_index, &source);
	memset(header, 0, FAKE_GRH_BYTES);
	if (source.gid.raw[0] != 0xfe) {
		put_ipv4(header, &source.gid, there, length);
		return;
	}
	header[0] = 0x60;
	header[4] = (uint8_t)(length >> 8);
	header[5] = (uint8_t)length;
	header[6] = source.gid_type == IBV_GID_TYPE_ROCE_V2 ? UDP : ROCE_V1;
	header[7] = 64;
	memcpy(header + 8, &source.gid, sizeof(source.gid));
	memcpy(header + 24, there, sizeof(*there));
}
