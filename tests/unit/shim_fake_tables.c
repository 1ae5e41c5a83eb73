/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_tables.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/shim_fake_devices.h"
#include "tests/unit/shim_fake_ethernet.h"
#include "tests/unit/shim_fake_hca.h"

struct fake_tables fake_tables;

static const struct fake_tables of_peer = {{9}, {0xffff}, false};

void fake_tables_reset(void)
{
	fake_tables = (struct fake_tables){{1}, {0xffff}, false};
}

union ibv_gid fake_gid(uint8_t which)
{
	union ibv_gid gid = {0};

	gid.raw[0] = which ? 0xfe : 0;
	gid.raw[15] = which;
	return gid;
}

uint32_t fake_gid_type(uint8_t which)
{
	return which % 2 ? IBV_GID_TYPE_IB : IBV_GID_TYPE_ROCE_V2;
}

static const struct fake_tables *tables_of(const struct ibv_context *context)
{
	return fake_is_vm(context) ? &fake_tables : &of_peer;
}

int fake_query_gid(struct ibv_context *context, uint8_t port, int index, union ibv_gid *gid)
{
	struct ibv_gid_entry entry = {0};

	if (index < 0 || index >= FAKE_GIDS)
		return -1;
	if (fake.ethernet) {
		fake_ethernet_gid(fake_hca_of(context), (unsigned)index, &entry);
		*gid = entry.gid;
		return 0;
	}
	*gid = fake_gid(tables_of(context)->gids[index]);
	return 0;
}

int fake_query_gid_ex(struct ibv_context *context, uint32_t port, uint32_t index,
        struct ibv_gid_entry *entry, uint32_t flags, size_t size)
{
	struct ibv_gid_entry found = {.gid_index = index, .port_num = port};

	if (index >= FAKE_GIDS || (!fake.ethernet && !tables_of(context)->gids[index]))
		return ENODATA;
	if (fake.ethernet && !fake_ethernet_gid(fake_hca_of(context), index, &found))
		return ENODATA;
	if (!fake.ethernet) {
		found.gid = fake_gid(tables_of(context)->gids[index]);
		found.gid_type = fake_gid_type(tables_of(context)->gids[index]);
	}
	memcpy(entry, &found, size < sizeof(found) ? size : sizeof(found));
	return 0;
}

int fake_query_gid_type(struct ibv_context *context, uint8_t port, unsigned index, unsigned *type)
{
	struct ibv_gid_entry entry = {0};

	if (index >= FAKE_GIDS)
		return -1;
	fake_query_gid_ex(context, port, index, &entry, 0, sizeof(entry));
	*type = entry.gid_type == IBV_GID_TYPE_ROCE_V2;
	return 0;
}

ssize_t fake_query_gid_table(struct ibv_context *context, struct ibv_gid_entry *entries,
        size_t count, uint32_t flags, size_t size)
{
	size_t found = 0;

	if (fake_tables.cannot_be_asked)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < FAKE_GIDS && found < count; i++)
		found += !fake_query_gid_ex(context, 1, i, &entries[found], flags, size);
	return (ssize_t)found;
}

int fake_query_pkey(struct ibv_context *context, uint8_t port, int index, __be16 *pkey)
{
	if (index < 0 || index >= FAKE_PKEYS)
		return -1;
	*pkey = htobe16(tables_of(context)->pkeys[index]);
	return 0;
}

int fake_get_pkey_index(struct ibv_context *context, uint8_t port, __be16 pkey)
{
	for (int i = 0; i < FAKE_PKEYS; i++) {
		if (tables_of(context)->pkeys[i] == be16toh(pkey))
			return i;
	}
	return -1;
}

/* It has its own type and the one version that there is of it here. */
static int init_from_header(
        struct ibv_context *context, const uint8_t *header, struct ibv_ah_attr *attr)
{
	union ibv_gid own;
	struct ibv_gid_entry entry;
	bool is_ipv4 = header[20] == 0x45 && header[29] == 0x11;
	uint32_t type = is_ipv4 || header[6] == 0x11 ? IBV_GID_TYPE_ROCE_V2 : IBV_GID_TYPE_ROCE_V1;

	attr->dlid = 0;
	attr->grh.dgid = own = (union ibv_gid){.raw = {[10] = 0xff, [11] = 0xff}};
	memcpy(is_ipv4 ? own.raw + 12 : own.raw, header + (is_ipv4 ? 36 : 24), is_ipv4 ? 4 : 16);
	memcpy(is_ipv4 ? attr->grh.dgid.raw + 12 : attr->grh.dgid.raw, header + (is_ipv4 ? 32 : 8),
	        is_ipv4 ? 4 : 16);
	for (unsigned i = 0; fake_ethernet_gid(fake_hca_of(context), i, &entry); i++) {
		attr->grh.sgid_index = (uint8_t)i;
		if (entry.gid_type == type && !memcmp(&entry.gid, &own, sizeof(own)))
			return 0;
	}
	return -1;
}

/* As libibverbs does it. */
int fake_init_ah_from_wc(struct ibv_context *context, uint8_t port, struct ibv_wc *wc,
        struct ibv_grh *grh, struct ibv_ah_attr *attr)
{
	*attr = (struct ibv_ah_attr){.dlid = wc->slid, .port_num = port};
	if (!(wc->wc_flags & IBV_WC_GRH))
		return 0;
	attr->is_global = 1;
	if (fake.ethernet)
		return init_from_header(context, (const uint8_t *)grh, attr);
	attr->grh.dgid = grh->sgid;
	for (unsigned i = 0; i < FAKE_GIDS; i++) {
		union ibv_gid gid = fake_gid(tables_of(context)->gids[i]);

		if (memcmp(&gid, &grh->dgid, sizeof(gid)) != 0)
			continue;
		attr->grh.sgid_index = (uint8_t)i;
		return 0;
	}
	return -1;
}
