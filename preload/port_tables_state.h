/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the two halves of the port tables share: port_tables.c (what stands in them, as the
 * application knows it) and port_indices.c (where the device has it), and nobody else.
 */
#ifndef TETHER_PORT_TABLES_STATE_H
#define TETHER_PORT_TABLES_STATE_H

#include <pthread.h>
#include <string.h>

#include "preload/objects.h"
#include "preload/port_tables.h"

/* Of all tables; no other lock is taken inside. */
extern pthread_mutex_t port_tables_lock;

/* What the device has, of all ports at once; whoever reads it frees the entries. */
struct gid_list {
	struct ibv_gid_entry *entries;
	size_t count;
};

int gids_read(const struct context *context, struct gid_list *list);
/* 0: none, or no such place. */
__be16 pkey_read(const struct context *context, unsigned port, unsigned index);

/* Where the application knows it; -1: nowhere. */
int index_of_pkey(const struct port_tables *tables, __be16 pkey);

static inline bool is_gid(const struct ibv_gid_entry *entry)
{
	static const union ibv_gid no_gid;

	return memcmp(&entry->gid, &no_gid, sizeof(no_gid)) != 0;
}

static inline bool is_same_gid(const struct ibv_gid_entry *a, const struct ibv_gid_entry *b)
{
	return a->gid_type == b->gid_type && !memcmp(&a->gid, &b->gid, sizeof(a->gid));
}

static inline struct port_tables *tables_of(const struct context *context, unsigned port)
{
	return port >= 1 && port <= PORTS_MAX ? (struct port_tables *)&context->tables[port - 1]
	                                      : NULL;
}

static inline unsigned ports_of(const struct context *context)
{
	return context->attr.orig_attr.phys_port_cnt;
}

#endif
