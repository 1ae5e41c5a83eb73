/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_tables.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/shim_fake_devices.h"

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

static const struct fake_tables *tables_of(const struct ibv_context *context)
{
	return fake_is_vm(context) ? &fake_tables : &of_peer;
}

int fake_query_gid(struct ibv_context *context, uint8_t port, int index, union ibv_gid *gid)
{
	if (index < 0 || index >= FAKE_GIDS)
		return -1;
	*gid = fake_gid(tables_of(context)->gids[index]);
	return 0;
}

int fake_query_gid_ex(struct ibv_context *context, uint32_t port, uint32_t index,
        struct ibv_gid_entry *entry, uint32_t flags, size_t size)
{
	struct ibv_gid_entry found = {.gid_index = index, .port_num = port};

	if (index >= FAKE_GIDS || !tables_of(context)->gids[index])
		return ENODATA;
	found.gid = fake_gid(tables_of(context)->gids[index]);
	memcpy(entry, &found, size < sizeof(found) ? size : sizeof(found));
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

/* As libibverbs does it. */
int fake_init_ah_from_wc(struct ibv_context *context, uint8_t port, struct ibv_wc *wc,
        struct ibv_grh *grh, struct ibv_ah_attr *attr)
{
	*attr = (struct ibv_ah_attr){.dlid = wc->slid, .port_num = port};
	if (!(wc->wc_flags & IBV_WC_GRH))
		return 0;
	attr->is_global = 1;
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
