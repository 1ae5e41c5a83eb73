/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/port_tables_state.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"

/* ---- after a move ---- */

/* Where it stands twice, the one at the place of before. */
static const struct ibv_gid_entry *find_same(
        const struct gid_list *list, unsigned port, const struct ibv_gid_entry *shown)
{
	const struct ibv_gid_entry *found = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct ibv_gid_entry *entry = &list->entries[i];

		if (entry->port_num != port || !is_same_gid(entry, shown))
			continue;
		if (!found || entry->gid_index == shown->gid_index)
			found = entry;
	}
	return found;
}

enum gid_family { GID_LINK_LOCAL, GID_OF_IPV4, GID_OTHER };

static enum gid_family family_of(const union ibv_gid *gid)
{
	static const uint8_t of_ipv4[12] = {[10] = 0xff, [11] = 0xff};

	if (!memcmp(gid->raw, of_ipv4, sizeof(of_ipv4)))
		return GID_OF_IPV4;
	return gid->raw[0] == 0xfe && (gid->raw[1] & 0xc0) == 0x80 ? GID_LINK_LOCAL : GID_OTHER;
}

/* GIDs of Ethernet ports come of the host's own addresses, which stay behind. */
static const struct ibv_gid_entry *find_like(
        const struct gid_list *list, unsigned port, const struct ibv_gid_entry *shown)
{
	const struct ibv_gid_entry *found = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct ibv_gid_entry *entry = &list->entries[i];

		if (entry->port_num != port || entry->gid_type != shown->gid_type ||
		        family_of(&entry->gid) != family_of(&shown->gid))
			continue;
		if (!found || entry->gid_index < found->gid_index)
			found = entry;
	}
	return found;
}

static void map_gid(const struct context *context, struct port_tables *tables, unsigned port,
        const struct gid_list *list, unsigned i)
{
	const struct ibv_gid_entry *shown = &tables->gids[i], *now;

	if (!is_gid(shown))
		return;
	now = find_same(list, port, shown);
	if (!now && port_is_ethernet(&context->ports[port - 1]))
		now = find_like(list, port, shown);
	tables->gid_at[i] = now ? (int)now->gid_index : -1;
	tables->gid_now[i] = now ? now->gid : (union ibv_gid){0};
}

static void map_gids(const struct context *context, struct port_tables *tables, unsigned port,
        const struct gid_list *list)
{
	for (unsigned i = 0; i < tables->gid_count; i++)
		map_gid(context, tables, port, list, i);
}

static bool is_still_there(
        const struct port_tables *tables, unsigned port, const struct gid_list *list, unsigned i)
{
	for (size_t at = 0; at < list->count; at++) {
		const struct ibv_gid_entry *entry = &list->entries[at];

		if (entry->port_num == port && (int)entry->gid_index == tables->gid_at[i])
			return !memcmp(&entry->gid, &tables->gid_now[i], sizeof(entry->gid));
	}
	return false;
}

/* Most often they stand where they stood; few places are filled, and each look costs. */
static void map_pkeys(const struct context *context, struct port_tables *tables, unsigned port,
        unsigned device_count)
{
	unsigned left = 0;

	for (unsigned i = 0; i < tables->pkey_count; i++) {
		bool there = tables->pkeys[i] && pkey_read(context, port, i) == tables->pkeys[i];

		tables->pkey_at[i] = there ? (int)i : -1;
		left += tables->pkeys[i] && !there;
	}
	for (unsigned i = 0; i < device_count && left; i++) {
		__be16 pkey = pkey_read(context, port, i);
		int at = pkey ? index_of_pkey(tables, pkey) : -1;

		if (at < 0 || tables->pkey_at[at] >= 0)
			continue;
		tables->pkey_at[at] = (int)i;
		left--;
	}
}

static int map_back(struct port_tables *tables, unsigned device_count)
{
	free(tables->pkey_shown);
	tables->pkey_shown_count = 0;
	tables->pkey_shown = calloc(device_count + 1u, sizeof(*tables->pkey_shown));
	if (!tables->pkey_shown)
		return -ENOMEM;
	tables->pkey_shown_count = device_count;
	for (unsigned i = 0; i < device_count; i++)
		tables->pkey_shown[i] = (uint16_t)i;
	for (unsigned i = 0; i < tables->pkey_count; i++) {
		if (tables->pkey_at[i] >= 0 && (unsigned)tables->pkey_at[i] < device_count)
			tables->pkey_shown[tables->pkey_at[i]] = (uint16_t)i;
	}
	return 0;
}

static bool leads_somewhere(const struct port_tables *tables, unsigned i)
{
	return is_gid(&tables->gids[i]) && tables->gid_at[i] >= 0;
}

static bool is_first_of_those_that_lead_there(const struct port_tables *tables, unsigned i)
{
	const union ibv_gid *there = &tables->gid_now[i];

	for (unsigned j = 0; j < i; j++) {
		if (leads_somewhere(tables, j) &&
		        !memcmp(&tables->gid_now[j], there, sizeof(*there)))
			return false;
	}
	return true;
}

/* Where several GIDs lead to one, it is shown as the first of them. */
static int map_gids_back(struct port_tables *tables)
{
	free(tables->gid_pairs);
	tables->gid_pair_count = 0;
	tables->gid_pairs = calloc(tables->gid_count + 1u, sizeof(*tables->gid_pairs));
	if (!tables->gid_pairs)
		return -ENOMEM;
	for (unsigned i = 0; i < tables->gid_count; i++) {
		const union ibv_gid *real = &tables->gid_now[i], *shown = &tables->gids[i].gid;

		if (!leads_somewhere(tables, i) || !memcmp(real, shown, sizeof(*real)) ||
		        !is_first_of_those_that_lead_there(tables, i))
			continue;
		tables->gid_pairs[tables->gid_pair_count++] = (struct gid_pair){*real, *shown};
	}
	return 0;
}

static int map_port(struct context *context, unsigned port, const struct gid_list *list)
{
	struct port_tables *tables = tables_of(context, port);
	struct ibv_port_attr now;
	int err;

	if (!tables->gids)
		return 0;
	if (___ibv_query_port(context->real, (uint8_t)port, &now))
		return -ENODEV;
	map_gids(context, tables, port, list);
	map_pkeys(context, tables, port, now.pkey_tbl_len);
	err = map_gids_back(tables);
	return err ? err : map_back(tables, now.pkey_tbl_len);
}

/* ---- to the device ---- */

/* What never stood there is wrong at the device as well. */
static int gid_to_real(const struct context *context, unsigned port, unsigned index)
{
	const struct port_tables *tables = port_tables_shown(context, port);

	if (!tables || index >= tables->gid_count || !is_gid(&tables->gids[index]))
		return (int)index;
	return tables->gid_at[index];
}

static int pkey_to_real(const struct context *context, unsigned port, unsigned index)
{
	const struct port_tables *tables = port_tables_shown(context, port);

	if (!tables || index >= tables->pkey_count || !tables->pkeys[index])
		return (int)index;
	return tables->pkey_at[index];
}

static int ah_to_real(const struct context *context, struct ibv_ah_attr *attr)
{
	int index = 0;

	if (!attr->is_global)
		return 0;
	index = gid_to_real(context, attr->port_num, attr->grh.sgid_index);
	if (index < 0)
		return -EINVAL;
	attr->grh.sgid_index = (uint8_t)index;
	return 0;
}

static int pkey_index_to_real(const struct context *context, unsigned port, uint16_t *index)
{
	int real = pkey_to_real(context, port, *index);

	if (real < 0)
		return -EINVAL;
	*index = (uint16_t)real;
	return 0;
}

static int attr_to_real(const struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	const struct context *context = qp->context;
	unsigned port = mask & IBV_QP_PORT ? attr->port_num : qp->attr.port_num;
	int err = 0;

	if (mask & IBV_QP_PKEY_INDEX)
		err = pkey_index_to_real(context, port, &attr->pkey_index);
	if (!err && mask & IBV_QP_AV)
		err = ah_to_real(context, &attr->ah_attr);
	if (!err && mask & IBV_QP_ALT_PATH)
		err = pkey_index_to_real(context, attr->alt_port_num, &attr->alt_pkey_index);
	if (!err && mask & IBV_QP_ALT_PATH)
		err = ah_to_real(context, &attr->alt_ah_attr);
	return err;
}

int port_tables_attr_to_real(const struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	LOCK_GUARD(&port_tables_lock);
	return attr_to_real(qp, attr, mask);
}

int port_tables_ah_to_real(const struct context *context, struct ibv_ah_attr *attr)
{
	LOCK_GUARD(&port_tables_lock);
	return ah_to_real(context, attr);
}

static bool has_what_is_used(const struct context *context)
{
	const int used = IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_AV;
	const struct address_handle *ah;
	const struct queue_pair *qp;

	TAILQ_FOREACH(qp, &context->qps, link)
	{
		struct ibv_qp_attr attr = qp->attr;

		if (qp->shown.qp_base.state != IBV_QPS_ERR &&
		        attr_to_real(qp, &attr, qp->attr_mask & used))
			return false;
	}
	TAILQ_FOREACH(ah, &context->ahs, link)
	{
		struct ibv_ah_attr attr = ah->attr;

		if (ah_to_real(context, &attr))
			return false;
	}
	return true;
}

int port_tables_map(struct context *context)
{
	CLEANUP_FREE struct ibv_gid_entry *entries = NULL;
	struct gid_list list;
	int err;

	if (!port_tables_are_known(context))
		return 0;
	err = gids_read(context, &list);
	entries = list.entries;
	LOCK_GUARD(&port_tables_lock);
	for (unsigned port = 1; port <= ports_of(context) && !err; port++)
		err = map_port(context, port, &list);
	return err || has_what_is_used(context) ? err : -ENOENT;
}

void port_tables_map_gids(struct context *context)
{
	CLEANUP_FREE struct ibv_gid_entry *entries = NULL;
	struct gid_list list;
	int err = context->real ? gids_read(context, &list) : -ENODEV;

	if (err)
		return;
	entries = list.entries;
	LOCK_GUARD(&port_tables_lock);
	for (unsigned port = 1; port <= ports_of(context); port++) {
		struct port_tables *tables = port_tables_shown(context, port);

		for (unsigned i = 0; tables && i < tables->gid_count; i++) {
			if (!is_still_there(tables, port, &list, i))
				map_gid(context, tables, port, &list, i);
		}
	}
}

/* ---- from the device ---- */

/* One that stands there twice, in two versions of RoCE, is the same. */
bool port_tables_real_gid(const struct context *context, unsigned port, const union ibv_gid *shown,
        union ibv_gid *real)
{
	const struct port_tables *tables = port_tables_shown(context, port);

	*real = *shown;
	if (!tables)
		return true;
	LOCK_GUARD(&port_tables_lock);
	for (unsigned i = 0; i < tables->gid_count; i++) {
		if (tables->gid_at[i] >= 0 && is_gid(&tables->gids[i]) &&
		        !memcmp(&tables->gids[i].gid, shown, sizeof(*shown))) {
			*real = tables->gid_now[i];
			return true;
		}
	}
	*real = (union ibv_gid){0};
	return false;
}

static bool is_itself(const struct port_tables *tables, unsigned i)
{
	return !memcmp(&tables->gids[i].gid, &tables->gid_now[i], sizeof(tables->gid_now[i]));
}

/* One of the device may stand in for several that the application knows; for itself before all.
 * @gid: the one that is meant; NULL: whichever. */
static void show_source(
        const struct context *context, struct ibv_ah_attr *attr, const union ibv_gid *gid)
{
	const struct port_tables *tables = port_tables_shown(context, attr->port_num);
	int real = attr->grh.sgid_index;
	bool found = false;

	if (!tables || !attr->is_global)
		return;
	LOCK_GUARD(&port_tables_lock);
	for (unsigned i = 0; i < tables->gid_count; i++) {
		if (!is_gid(&tables->gids[i]) || tables->gid_at[i] != real ||
		        (gid && memcmp(gid, &tables->gids[i].gid, sizeof(*gid))))
			continue;
		if (!found || is_itself(tables, i))
			attr->grh.sgid_index = (uint8_t)i;
		found = true;
	}
}

void port_tables_show_source(const struct context *context, struct ibv_ah_attr *attr)
{
	show_source(context, attr, NULL);
}

void port_tables_show_source_as(
        const struct context *context, struct ibv_ah_attr *attr, const union ibv_gid *shown)
{
	show_source(context, attr, shown);
}
