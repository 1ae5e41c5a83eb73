/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/grh.h"

#include <string.h>

enum {
	IPV6_FROM = 8,
	IPV6_TO = 24,
	IPV4 = 20, /* the header; in it: */
	IPV4_BYTES = 20,
	IPV4_CHECKSUM = 10,
	IPV4_FROM = 12,
	IPV4_TO = 16,
	IPV4_ADDRESS_BYTES = 4,
	MAPPED = 12 /* where in a GID the address stands */
};

/* ---- where it is ---- */

bool grh_place_in(struct grh_place *place, const struct ibv_sge *sges, unsigned count)
{
	uint32_t left = GRH_BYTES;

	place->count = 0;
	for (unsigned i = 0; i < count && left; i++) {
		uint32_t length = sges[i].length < left ? sges[i].length : left;

		if (!length)
			continue;
		place->at[place->count] = (uint8_t *)(uintptr_t)sges[i].addr;
		place->length[place->count++] = (uint8_t)length;
		left -= length;
	}
	return !left;
}

void grh_read(const struct grh_place *place, uint8_t header[GRH_BYTES])
{
	for (unsigned i = 0; i < place->count; i++) {
		memcpy(header, place->at[i], place->length[i]);
		header += place->length[i];
	}
}

void grh_write(const struct grh_place *place, const uint8_t header[GRH_BYTES])
{
	for (unsigned i = 0; i < place->count; i++) {
		memcpy(place->at[i], header, place->length[i]);
		header += place->length[i];
	}
}

/* ---- what it says ---- */

/* The one's complement of the sum of all words is 0 where the checksum among them is right. */
static uint16_t checksum(const uint8_t ipv4[IPV4_BYTES])
{
	uint32_t sum = 0;

	for (int i = 0; i < IPV4_BYTES; i += 2)
		sum += (uint32_t)ipv4[i] << 8 | ipv4[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Without options it has five words; more would begin before the 40 bytes' last 20. */
static bool is_whole_ipv4(const uint8_t ipv4[IPV4_BYTES])
{
	return (ipv4[0] & 0xf) == IPV4_BYTES / 4 && !checksum(ipv4);
}

/* What stands before an IPv4 header may look like the beginning of the other. */
enum grh_kind grh_kind_of(const uint8_t header[GRH_BYTES])
{
	const uint8_t *ipv4 = header + IPV4;

	if (header[0] >> 4 == 6)
		return is_whole_ipv4(ipv4) ? GRH_IS_IPV4 : GRH_IS_IPV6;
	return ipv4[0] >> 4 == 4 ? GRH_IS_IPV4 : GRH_IS_NONE;
}

static void map(union ibv_gid *gid, const uint8_t *address)
{
	*gid = (union ibv_gid){.raw = {[10] = 0xff, [11] = 0xff}};
	memcpy(gid->raw + MAPPED, address, IPV4_ADDRESS_BYTES);
}

static bool is_mapped(const union ibv_gid *gid)
{
	static const union ibv_gid none = {.raw = {[10] = 0xff, [11] = 0xff}};

	return !memcmp(gid, &none, MAPPED);
}

enum grh_kind grh_ends(const uint8_t header[GRH_BYTES], union ibv_gid *from, union ibv_gid *to)
{
	enum grh_kind kind = grh_kind_of(header);

	if (kind == GRH_IS_IPV6) {
		memcpy(from, header + IPV6_FROM, sizeof(*from));
		memcpy(to, header + IPV6_TO, sizeof(*to));
	} else if (kind == GRH_IS_IPV4) {
		map(from, header + IPV4 + IPV4_FROM);
		map(to, header + IPV4 + IPV4_TO);
	}
	return kind;
}

/* ---- another ---- */

static void set_checksum(uint8_t ipv4[IPV4_BYTES])
{
	uint16_t sum;

	ipv4[IPV4_CHECKSUM] = ipv4[IPV4_CHECKSUM + 1] = 0;
	sum = checksum(ipv4);
	ipv4[IPV4_CHECKSUM] = (uint8_t)(sum >> 8);
	ipv4[IPV4_CHECKSUM + 1] = (uint8_t)sum;
}

static bool set_ipv4(uint8_t ipv4[IPV4_BYTES], const union ibv_gid *from, const union ibv_gid *to)
{
	bool was_right = !checksum(ipv4);

	if ((from && !is_mapped(from)) || (to && !is_mapped(to)))
		return false;
	if (from)
		memcpy(ipv4 + IPV4_FROM, from->raw + MAPPED, IPV4_ADDRESS_BYTES);
	if (to)
		memcpy(ipv4 + IPV4_TO, to->raw + MAPPED, IPV4_ADDRESS_BYTES);
	if (was_right)
		set_checksum(ipv4);
	return true;
}

bool grh_set_ends(uint8_t header[GRH_BYTES], enum grh_kind kind, const union ibv_gid *from,
        const union ibv_gid *to)
{
	if (kind == GRH_IS_IPV4)
		return set_ipv4(header + IPV4, from, to);
	if (kind == GRH_IS_IPV6 && from)
		memcpy(header + IPV6_FROM, from, sizeof(*from));
	if (kind == GRH_IS_IPV6 && to)
		memcpy(header + IPV6_TO, to, sizeof(*to));
	return kind == GRH_IS_IPV6;
}
