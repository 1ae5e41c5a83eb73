/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a port says of itself: live from its PortInfo and P_Key table. */
#include <endian.h>
#include <string.h>

#include "simfabric/hca_port.h"
#include "simfabric/verbs_face.h"

#undef ibv_query_port

enum {
	DATA_VLS_8 = 4, /* as PortInfo.VLCap counts */
};

/* As ibv_query_gid_type counts. */
enum { SYSFS_IB_OR_ROCE_V1, SYSFS_ROCE_V2 };

static const struct port *lock_port(struct ibv_context *context, uint32_t port_num)
{
	if (port_num != 1) {
		errno = EINVAL;
		return NULL;
	}
	errno = face_lock(context);
	return errno ? NULL : face_context(context)->hca->port;
}

static uint16_t word16(const struct port *port, unsigned offset)
{
	return (uint16_t)(port_byte(port, offset) << 8 | port_byte(port, offset + 1));
}

static uint32_t capabilities(const struct port *port)
{
	return (uint32_t)word16(port, 20) << 16 | word16(port, 22);
}

static void fill_port_attr(const struct hca *hca, struct ibv_port_attr *attr)
{
	const struct port *port = hca->port;

	*attr = (struct ibv_port_attr){
	        .state = (enum ibv_port_state)hca_port_state(hca),
	        .max_mtu = (enum ibv_mtu)(port_byte(port, 41) & 0xf),
	        .active_mtu = (enum ibv_mtu)port_mtu(port),
	        .gid_tbl_len = HCA_GIDS,
	        .port_cap_flags = capabilities(port),
	        .max_msg_sz = HCA_MAX_MESSAGE,
	        .pkey_tbl_len = HCA_PKEYS,
	        .lid = port_lid(port),
	        .sm_lid = word16(port, 18),
	        .lmc = port_lmc(port),
	        .max_vl_num = DATA_VLS_8,
	        .sm_sl = port_byte(port, 36) & 0xf,
	        .subnet_timeout = port_byte(port, 51) & 0x1f,
	        .init_type_reply = port_byte(port, 41) >> 4,
	        .active_width = port_byte(port, 31),
	        .active_speed = port_byte(port, 35) >> 4,
	        .phys_state = port_byte(port, 33) >> 4,
	        .link_layer = IBV_LINK_LAYER_INFINIBAND,
	};
	if (!hca->is_ethernet)
		return;
	attr->lid = attr->sm_lid = 0;
	attr->lmc = 0;
	attr->link_layer = IBV_LINK_LAYER_ETHERNET;
}

int face_query_port(struct ibv_context *context, uint8_t port_num, struct ibv_port_attr *attr,
        size_t attr_bytes)
{
	const struct port *port = lock_port(context, port_num);
	struct ibv_port_attr full;

	if (!port)
		return errno;
	fill_port_attr(face_context(context)->hca, &full);
	hca_unlock();
	memset(attr, 0, attr_bytes);
	memcpy(attr, &full, attr_bytes < sizeof(full) ? attr_bytes : sizeof(full));
	return 0;
}

/* Programs built with old headers have a structure that ends before port_cap_flags2. */
ENTRY int ibv_query_port(
        struct ibv_context *context, uint8_t port_num, struct _compat_ibv_port_attr *attr)
{
	return face_query_port(context, port_num, (struct ibv_port_attr *)(void *)attr,
	        offsetof(struct ibv_port_attr, port_cap_flags2));
}

ENTRY int ibv_query_gid(
        struct ibv_context *context, uint8_t port_num, int index, union ibv_gid *gid)
{
	const struct port *port;

	if (index < 0 || index >= HCA_GIDS) {
		errno = EINVAL;
		return -1;
	}
	port = lock_port(context, port_num);
	if (!port)
		return -1;
	if (!hca_gid(face_context(context)->hca, (unsigned)index, gid))
		memset(gid, 0, sizeof(*gid));
	hca_unlock();
	return 0;
}

ENTRY int _ibv_query_gid_ex(struct ibv_context *context, uint32_t port_num, uint32_t gid_index,
        struct ibv_gid_entry *entry, uint32_t flags, size_t entry_size)
{
	struct ibv_gid_entry full = {
	        .gid_index = gid_index, .port_num = port_num, .gid_type = IBV_GID_TYPE_IB};
	const struct port *port;
	bool found;

	if (flags || gid_index >= HCA_GIDS)
		return EINVAL;
	port = lock_port(context, port_num);
	if (!port)
		return errno;
	found = hca_gid(face_context(context)->hca, gid_index, &full.gid);
	if (face_context(context)->hca->is_ethernet)
		full.gid_type = IBV_GID_TYPE_ROCE_V2;
	hca_unlock();
	if (!found)
		return ENODATA;
	memset(entry, 0, entry_size);
	memcpy(entry, &full, entry_size < sizeof(full) ? entry_size : sizeof(full));
	return 0;
}

ENTRY ssize_t _ibv_query_gid_table(struct ibv_context *context, struct ibv_gid_entry *entries,
        size_t max_entries, uint32_t flags, size_t entry_size)
{
	ssize_t count = 0;

	for (uint32_t i = 0; i < HCA_GIDS; i++) {
		struct ibv_gid_entry full;
		int err = _ibv_query_gid_ex(context, 1, i, &full, flags, sizeof(full));

		if (err == ENODATA)
			continue;
		if (err || (size_t)count == max_entries)
			return err ? -err : -EINVAL;
		memset((char *)entries + count * (ssize_t)entry_size, 0, entry_size);
		memcpy((char *)entries + count * (ssize_t)entry_size, &full,
		        entry_size < sizeof(full) ? entry_size : sizeof(full));
		count++;
	}
	return count;
}

/* Private to rdma-core, but librdmacm and perftest's kin call it. */
ENTRY int ibv_query_gid_type(
        struct ibv_context *context, uint8_t port_num, unsigned index, unsigned *type);
ENTRY int ibv_query_gid_type(
        struct ibv_context *context, uint8_t port_num, unsigned index, unsigned *type)
{
	if (port_num != 1 || index >= HCA_GIDS) {
		errno = EINVAL;
		return -1;
	}
	*type = face_context(context)->hca->is_ethernet ? SYSFS_ROCE_V2 : SYSFS_IB_OR_ROCE_V1;
	return 0;
}

ENTRY int ibv_query_pkey(struct ibv_context *context, uint8_t port_num, int index, __be16 *pkey)
{
	const struct port *port;

	if (index < 0 || index >= HCA_PKEYS) {
		errno = EINVAL;
		return -1;
	}
	port = lock_port(context, port_num);
	if (!port)
		return -1;
	*pkey = htobe16(hca_pkey(face_context(context)->hca, (unsigned)index));
	hca_unlock();
	return 0;
}

ENTRY int ibv_get_pkey_index(struct ibv_context *context, uint8_t port_num, __be16 pkey)
{
	const struct port *port = lock_port(context, port_num);
	int found = -1;

	if (!port)
		return -1;
	/* An entry that carries the full-membership bit is preferred by those who ask with it. */
	for (int i = 0; i < HCA_PKEYS && found < 0; i++) {
		if (hca_pkey(face_context(context)->hca, (unsigned)i) == be16toh(pkey))
			found = i;
	}
	hca_unlock();
	if (found < 0)
		errno = EINVAL;
	return found;
}
