/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/port_tables_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

pthread_mutex_t port_tables_lock = PTHREAD_MUTEX_INITIALIZER;

struct port_tables *port_tables_shown(const struct context *context, unsigned port)
{
	bool is_other = context->moved || context->phase >= PHASE_AWAY;
	struct port_tables *tables = is_other ? tables_of(context, port) : NULL;

	return tables && tables->gids ? tables : NULL;
}

/* ---- what the device has ---- */

int gids_read(const struct context *context, struct gid_list *list)
{
	size_t room = 0;
	ssize_t count;

	for (unsigned i = 0; i < ports_of(context); i++)
		room += (size_t)context->ports[i].attr.gid_tbl_len;
	*list = (struct gid_list){.entries = calloc(room + 1, sizeof(*list->entries))};
	if (!list->entries)
		return -ENOMEM;
	count = below._ibv_query_gid_table(
	        context->real, list->entries, room, 0, sizeof(*list->entries));
	list->count = count > 0 ? (size_t)count : 0;
	return count < 0 ? (int)count : 0;
}

__be16 pkey_read(const struct context *context, unsigned port, unsigned index)
{
	__be16 pkey = 0;

	if (below.ibv_query_pkey(context->real, (uint8_t)port, (int)index, &pkey))
		return 0;
	return pkey;
}

/* ---- as the application knows it ---- */

static int index_of_gid(const struct port_tables *tables, const struct ibv_gid_entry *entry)
{
	for (unsigned i = 0; i < tables->gid_count; i++) {
		if (is_same_gid(&tables->gids[i], entry))
			return (int)i;
	}
	return -1;
}

int index_of_pkey(const struct port_tables *tables, __be16 pkey)
{
	for (unsigned i = 0; i < tables->pkey_count; i++) {
		if (tables->pkeys[i] == pkey)
			return (int)i;
	}
	return -1;
}

/* The same place, or the first that is free. -1: none is. */
static int place_for_gid(const struct port_tables *tables, unsigned wanted)
{
	if (wanted < tables->gid_count && !is_gid(&tables->gids[wanted]))
		return (int)wanted;
	for (unsigned i = 0; i < tables->gid_count; i++) {
		if (!is_gid(&tables->gids[i]))
			return (int)i;
	}
	return -1;
}

static int place_for_pkey(const struct port_tables *tables, unsigned wanted)
{
	if (wanted < tables->pkey_count && !tables->pkeys[wanted])
		return (int)wanted;
	return index_of_pkey(tables, 0);
}

/* New at the device, at @real: since the application looked last, or since the last move. */
static int gid_add(struct port_tables *tables, const struct ibv_gid_entry *entry, unsigned real)
{
	int at = place_for_gid(tables, real);

	if (at < 0)
		return at;
	tables->gids[at] = *entry;
	tables->gids[at].gid_index = (uint32_t)at;
	tables->gid_at[at] = (int)real;
	tables->gid_now[at] = entry->gid;
	return at;
}

static int pkey_add(struct port_tables *tables, __be16 pkey, unsigned real)
{
	int at = place_for_pkey(tables, real);

	if (at < 0)
		return at;
	tables->pkeys[at] = pkey;
	tables->pkey_at[at] = (int)real;
	if (real < tables->pkey_shown_count)
		tables->pkey_shown[real] = (uint16_t)at;
	return at;
}

static void tables_free(struct port_tables *tables)
{
	free(tables->gids);
	free(tables->pkeys);
	free(tables->gid_at);
	free(tables->gid_now);
	free(tables->pkey_at);
	free(tables->pkey_shown);
	free(tables->gid_pairs);
	*tables = (struct port_tables){0};
}

static int tables_make(struct port_tables *tables, const struct ibv_port_attr *attr)
{
	tables->gid_count = attr->gid_tbl_len > 0 ? (unsigned)attr->gid_tbl_len : 0;
	tables->pkey_count = attr->pkey_tbl_len;
	tables->gids = calloc(tables->gid_count + 1u, sizeof(*tables->gids));
	tables->pkeys = calloc(tables->pkey_count + 1u, sizeof(*tables->pkeys));
	tables->gid_at = calloc(tables->gid_count + 1u, sizeof(*tables->gid_at));
	tables->gid_now = calloc(tables->gid_count + 1u, sizeof(*tables->gid_now));
	tables->pkey_at = calloc(tables->pkey_count + 1u, sizeof(*tables->pkey_at));
	if (tables->gids && tables->pkeys && tables->gid_at && tables->gid_now && tables->pkey_at)
		return 0;
	tables_free(tables);
	return -ENOMEM;
}

/* Before the first move each value stands where the device has it. */
static void pkeys_copy(struct context *context, unsigned port)
{
	struct port_tables *tables = tables_of(context, port);

	for (unsigned i = 0; i < tables->pkey_count; i++) {
		tables->pkeys[i] = pkey_read(context, port, i);
		tables->pkey_at[i] = (int)i;
	}
}

static void gids_copy(struct context *context, unsigned port, const struct gid_list *list)
{
	struct port_tables *tables = tables_of(context, port);

	memset(tables->gids, 0, tables->gid_count * sizeof(*tables->gids));
	for (size_t i = 0; i < list->count; i++) {
		const struct ibv_gid_entry *entry = &list->entries[i];

		if (entry->port_num != port || entry->gid_index >= tables->gid_count)
			continue;
		tables->gids[entry->gid_index] = *entry;
		tables->gid_at[entry->gid_index] = (int)entry->gid_index;
		tables->gid_now[entry->gid_index] = entry->gid;
	}
}

/* What stands in for another is shown as that. */
static bool is_shown(const struct port_tables *tables, const struct ibv_gid_entry *entry)
{
	bool found = index_of_gid(tables, entry) >= 0;

	for (unsigned i = 0; i < tables->gid_count; i++)
		found |= is_gid(&tables->gids[i]) && tables->gid_at[i] == (int)entry->gid_index &&
		         !memcmp(&tables->gid_now[i], &entry->gid, sizeof(entry->gid));
	return found;
}

/* Later what is new there is put where there is room. */
static void pkeys_add(struct context *context, unsigned port)
{
	struct port_tables *tables = tables_of(context, port);

	for (unsigned i = 0; i < tables->pkey_count; i++) {
		__be16 pkey = pkey_read(context, port, i);

		if (pkey && index_of_pkey(tables, pkey) < 0)
			pkey_add(tables, pkey, i);
	}
}

static void gids_add(struct context *context, unsigned port, const struct gid_list *list)
{
	struct port_tables *tables = tables_of(context, port);

	for (size_t i = 0; i < list->count; i++) {
		if (list->entries[i].port_num == port && !is_shown(tables, &list->entries[i]))
			gid_add(tables, &list->entries[i], list->entries[i].gid_index);
	}
}

int port_tables_learn(struct context *context)
{
	CLEANUP_FREE struct ibv_gid_entry *entries = NULL;
	struct gid_list list;
	int err = gids_read(context, &list);

	entries = list.entries;
	LOCK_GUARD(&port_tables_lock);
	for (unsigned i = 0; i < ports_of(context) && !err; i++) {
		if (!context->tables[i].gids)
			err = tables_make(&context->tables[i], &context->ports[i].attr);
	}
	for (unsigned port = 1; port <= ports_of(context) && !err; port++) {
		if (context->moved) {
			gids_add(context, port, &list);
			pkeys_add(context, port);
		} else {
			gids_copy(context, port, &list);
			pkeys_copy(context, port);
		}
	}
	return err;
}

bool port_tables_are_known(const struct context *context)
{
	return context->tables[0].gids;
}

void port_tables_free(struct context *context)
{
	for (unsigned i = 0; i < PORTS_MAX; i++)
		tables_free(&context->tables[i]);
}

void port_tables_in_child(void)
{
	pthread_mutex_init(&port_tables_lock, NULL);
}

/* ---- from the device ---- */

/* At a place that was empty there may be something by now, which the application has not seen yet.
 */
static void look_for_gid(
        struct context *context, struct port_tables *tables, unsigned port, unsigned index)
{
	struct ibv_gid_entry entry = {0};

	if (!context->real ||
	        below._ibv_query_gid_ex(context->real, port, index, &entry, 0, sizeof(entry)))
		return;
	if (is_gid(&entry) && !is_shown(tables, &entry))
		gid_add(tables, &entry, index);
}

int port_tables_gid(struct context *context, struct port_tables *tables, unsigned port,
        unsigned index, struct ibv_gid_entry *entry)
{
	LOCK_GUARD(&port_tables_lock);
	if (index >= tables->gid_count)
		return -1;
	if (!is_gid(&tables->gids[index]) && context->phase == PHASE_RUNNING)
		look_for_gid(context, tables, port, index);
	*entry = tables->gids[index];
	return is_gid(entry) ? 0 : -1;
}

ssize_t port_tables_list_gids(struct context *context, struct ibv_gid_entry *entries, size_t room)
{
	struct ibv_gid_entry entry;
	size_t count = 0;

	for (unsigned port = 1; port <= ports_of(context); port++) {
		struct port_tables *tables = tables_of(context, port);

		for (unsigned i = 0; i < tables->gid_count; i++) {
			if (port_tables_gid(context, tables, port, i, &entry))
				continue;
			if (count == room)
				return -EINVAL;
			entries[count++] = entry;
		}
	}
	return (ssize_t)count;
}

int port_tables_known_gid(
        struct context *context, unsigned port, unsigned index, struct ibv_gid_entry *entry)
{
	struct port_tables *shown = port_tables_shown(context, port);

	if (shown)
		return port_tables_gid(context, shown, port, index, entry) ? -ENODATA : 0;
	if (!context->real)
		return -ENODEV;
	return -below._ibv_query_gid_ex(context->real, port, index, entry, 0, sizeof(*entry));
}

ssize_t port_tables_known_gids(struct context *context, struct ibv_gid_entry **entries)
{
	size_t room = 0;
	struct gid_list list;
	int err;

	if (!port_tables_shown(context, 1)) {
		err = context->real ? gids_read(context, &list) : -ENODEV;
		*entries = err == -ENODEV ? NULL : list.entries;
		return err ? err : (ssize_t)list.count;
	}
	for (unsigned port = 1; port <= ports_of(context); port++)
		room += tables_of(context, port)->gid_count;
	*entries = calloc(room + 1, sizeof(**entries));
	return *entries ? port_tables_list_gids(context, *entries, room) : -ENOMEM;
}

__be16 port_tables_pkey(
        struct context *context, struct port_tables *tables, unsigned port, unsigned index)
{
	__be16 pkey;

	LOCK_GUARD(&port_tables_lock);
	if (tables->pkeys[index] || context->phase != PHASE_RUNNING)
		return tables->pkeys[index];
	pkey = pkey_read(context, port, index);
	if (pkey && index_of_pkey(tables, pkey) < 0)
		pkey_add(tables, pkey, index);
	return tables->pkeys[index];
}

int port_tables_index_of_pkey(
        struct context *context, struct port_tables *tables, unsigned port, __be16 pkey)
{
	int index, real;

	LOCK_GUARD(&port_tables_lock);
	index = index_of_pkey(tables, pkey);
	if (index >= 0 || context->phase != PHASE_RUNNING)
		return index;
	real = below.ibv_get_pkey_index(context->real, (uint8_t)port, pkey);
	return real < 0 ? real : pkey_add(tables, pkey, (unsigned)real);
}
