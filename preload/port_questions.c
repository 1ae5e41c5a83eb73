/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The verbs that ask what stands in a port's tables of GIDs and P_Keys, and where. Until the first
 * move the device answers, then port_tables.h.
 */
#include <errno.h>
#include <string.h>

#include "preload/control.h"
#include "preload/grh.h"
#include "preload/objects.h"
#include "preload/port_tables.h"

/* @shown: the application's tables, from the first move on. What is then known needs no device. */
#define ASKS_TABLES(ret, name, params, port, failure, shown_answer, ...)                           \
	WRAPPER ret name params                                                                    \
	{                                                                                          \
		struct context *mine = context_of(context);                                        \
		struct port_tables *shown;                                                         \
		ret answer;                                                                        \
                                                                                                   \
		if (!mine)                                                                         \
			return below.name(context, __VA_ARGS__);                                   \
		shown = port_tables_shown(mine, port);                                             \
		if (control_enter(mine, shown ? NEEDS_NOTHING : NEEDS_DEVICE))                     \
			return failure;                                                            \
		shown = port_tables_shown(mine, port);                                             \
		answer = failure;                                                                  \
		if (shown)                                                                         \
			answer = (shown_answer);                                                   \
		else if (mine->real)                                                               \
			answer = below.name(mine->real, __VA_ARGS__);                              \
		control_leave();                                                                   \
		return answer;                                                                     \
	}

static int answer_gid(struct context *context, struct port_tables *tables, unsigned port, int index,
        union ibv_gid *gid)
{
	struct ibv_gid_entry entry;

	if (index < 0 || (unsigned)index >= tables->gid_count)
		return -1;
	*gid = (union ibv_gid){0};
	if (!port_tables_gid(context, tables, port, (unsigned)index, &entry))
		*gid = entry.gid;
	return 0;
}

ASKS_TABLES(int, ibv_query_gid,
        (struct ibv_context * context, uint8_t port, int index, union ibv_gid *gid), port, -1,
        answer_gid(mine, shown, port, index, gid), port, index, gid)

static int answer_gid_ex(struct context *context, struct port_tables *tables, unsigned port,
        unsigned index, struct ibv_gid_entry *entry, uint32_t flags, size_t size)
{
	struct ibv_gid_entry found;

	if (flags || index >= tables->gid_count)
		return EINVAL;
	if (port_tables_gid(context, tables, port, index, &found))
		return ENODATA;
	memcpy(entry, &found, size < sizeof(found) ? size : sizeof(found));
	return 0;
}

ASKS_TABLES(int, _ibv_query_gid_ex,
        (struct ibv_context * context, uint32_t port, uint32_t index, struct ibv_gid_entry *entry,
                uint32_t flags, size_t size),
        port, ENODEV, answer_gid_ex(mine, shown, port, index, entry, flags, size), port, index,
        entry, flags, size)

/* As libibverbs has it, also of an entry that is empty; the type is that of sysfs's file. */
enum gid_type_in_sysfs { IB_OR_ROCE_V1, ROCE_V2 };

static int answer_gid_type(struct context *context, struct port_tables *tables, unsigned port,
        unsigned index, unsigned *type)
{
	struct ibv_gid_entry found = {0};
	int err = answer_gid_ex(context, tables, port, index, &found, 0, sizeof(found));

	if (err && err != ENODATA)
		return -1;
	*type = found.gid_type == IBV_GID_TYPE_ROCE_V2 ? ROCE_V2 : IB_OR_ROCE_V1;
	return 0;
}

/* No public header has it. */
WRAPPER int ibv_query_gid_type(
        struct ibv_context *context, uint8_t port, unsigned index, unsigned *type);

ASKS_TABLES(int, ibv_query_gid_type,
        (struct ibv_context * context, uint8_t port, unsigned index, unsigned *type), port, -1,
        answer_gid_type(mine, shown, port, index, type), port, index, type)

static ssize_t answer_gid_table(struct context *context, struct ibv_gid_entry *entries, size_t room,
        uint32_t flags, size_t size)
{
	if (flags || size < sizeof(*entries))
		return -EINVAL;
	return port_tables_list_gids(context, entries, room);
}

ASKS_TABLES(ssize_t, _ibv_query_gid_table,
        (struct ibv_context * context, struct ibv_gid_entry *entries, size_t count, uint32_t flags,
                size_t size),
        1, -ENODEV, answer_gid_table(mine, entries, count, flags, size), entries, count, flags,
        size)

static int answer_pkey(
        struct context *context, struct port_tables *tables, unsigned port, int index, __be16 *pkey)
{
	if (index < 0 || (unsigned)index >= tables->pkey_count)
		return -1;
	*pkey = port_tables_pkey(context, tables, port, (unsigned)index);
	return 0;
}

ASKS_TABLES(int, ibv_query_pkey,
        (struct ibv_context * context, uint8_t port, int index, __be16 *pkey), port, -1,
        answer_pkey(mine, shown, port, index, pkey), port, index, pkey)

ASKS_TABLES(int, ibv_get_pkey_index, (struct ibv_context * context, uint8_t port, __be16 pkey),
        port, -1, port_tables_index_of_pkey(mine, shown, port, pkey), port, pkey)

/* In its header our own end is called as the application knows it (datagram_headers.h); the device
 * is to find what it has itself. */
static void header_to_real(const struct context *context, unsigned port, union ibv_gid *shown,
        uint8_t header[GRH_BYTES])
{
	union ibv_gid from, real;

	if (grh_ends(header, &from, shown) != GRH_IS_NONE &&
	        port_tables_real_gid(context, port, shown, &real))
		grh_set_ends(header, grh_kind_of(header), NULL, &real);
}

static int init_from_header(struct context *context, uint8_t port, struct ibv_wc *wc,
        const struct ibv_grh *grh, struct ibv_ah_attr *attr)
{
	union ibv_gid shown = {0};
	struct ibv_grh now;
	int answer;

	memcpy(&now, grh, sizeof(now));
	header_to_real(context, port, &shown, (uint8_t *)&now);
	answer = below.ibv_init_ah_from_wc(context->real, port, wc, &now, attr);
	if (!answer)
		port_tables_show_source_as(context, attr, &shown);
	return answer;
}

static bool is_ethernet(const struct context *context, unsigned port)
{
	return port >= 1 && port <= PORTS_MAX && port_is_ethernet(&context->ports[port - 1]);
}

WRAPPER int ibv_init_ah_from_wc(struct ibv_context *context, uint8_t port, struct ibv_wc *wc,
        struct ibv_grh *grh, struct ibv_ah_attr *attr)
{
	struct context *mine = context_of(context);
	int answer;

	if (!mine)
		return below.ibv_init_ah_from_wc(context, port, wc, grh, attr);
	if (control_enter(mine, NEEDS_DEVICE))
		return -1;
	if (is_ethernet(mine, port) && port_tables_shown(mine, port)) {
		answer = init_from_header(mine, port, wc, grh, attr);
	} else {
		answer = below.ibv_init_ah_from_wc(mine->real, port, wc, grh, attr);
		if (!answer)
			port_tables_show_source(mine, attr);
	}
	control_leave();
	return answer;
}
