/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * GID and P_Key tables as the application knows them. It names GIDs and P_Keys by index, and
 * another device may have them at other places: what stood at an index when its VM first moved goes
 * on standing there, and each use of an index is led to where the device has that value now. Before
 * the first move nothing is kept and the device is asked. Any thread, inside control.h. What stands
 * in them is port_tables.c, where the device has it port_indices.c.
 */
#ifndef TETHER_PORT_TABLES_H
#define TETHER_PORT_TABLES_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct context;
struct queue_pair;

/* Of one port. Without tables (nothing was learned) every index is its own. */
struct port_tables {
	unsigned gid_count, pkey_count; /* as the application was told */
	struct ibv_gid_entry *gids;     /* of zeros: none stands there */
	__be16 *pkeys;
	int *gid_at, *pkey_at;  /* where the device has it since the last move; -1: nowhere */
	union ibv_gid *gid_now; /* what stands there: at an Ethernet port another GID */
	uint16_t *pkey_shown;   /* by the device's index, for the data path */
	unsigned pkey_shown_count;
	/* GIDs that the device has in place of those that it was known to have, likewise. */
	struct gid_pair {
		union ibv_gid real, shown;
	} * gid_pairs;
	unsigned gid_pair_count;
};

/* The service thread: what the device has now that is not known yet. -errno: it cannot be asked,
 * and nothing is kept. */
int port_tables_learn(struct context *context);
bool port_tables_are_known(const struct context *context);
/* Another device is open. -ENOENT: it lacks what a queue pair or an address handle uses; -ENOMEM.
 */
int port_tables_map(struct context *context);
/* A GID may have come to it since, or have gone. Any thread. */
void port_tables_map_gids(struct context *context);
void port_tables_free(struct context *context);

/* In place, from the application's indices to the device's. -EINVAL: it has none. */
int port_tables_attr_to_real(const struct queue_pair *qp, struct ibv_qp_attr *attr, int mask);
int port_tables_ah_to_real(const struct context *context, struct ibv_ah_attr *attr);

/* NULL: the device answers. Otherwise it is asked no more: it is away, or may be another than the
 * application knows. */
struct port_tables *port_tables_shown(const struct context *context, unsigned port);
/*
 * What the application is told from then on. Where it knows of nothing there may be something by
 * now, and the device is looked at once more, if there is one.
 */

/* 0: @entry is what stands there; -1: nothing does. */
int port_tables_gid(struct context *context, struct port_tables *tables, unsigned port,
        unsigned index, struct ibv_gid_entry *entry);
/* Of all ports. As the kernel does it: who has too little room gets nothing, -EINVAL. */
ssize_t port_tables_list_gids(struct context *context, struct ibv_gid_entry *entries, size_t room);
/* @index is below pkey_count. 0: none. */
__be16 port_tables_pkey(
        struct context *context, struct port_tables *tables, unsigned port, unsigned index);
/* Negative: nowhere. */
int port_tables_index_of_pkey(
        struct context *context, struct port_tables *tables, unsigned port, __be16 pkey);
/* What the application is told now of one GID, or of all, for the caller to free. -errno */
int port_tables_known_gid(
        struct context *context, unsigned port, unsigned index, struct ibv_gid_entry *entry);
ssize_t port_tables_known_gids(struct context *context, struct ibv_gid_entry **entries);
/* What the device has in the place of a GID that the application knows. False: nothing. */
bool port_tables_real_gid(const struct context *context, unsigned port, const union ibv_gid *shown,
        union ibv_gid *real);
/* In place, from the device's index to the application's: the device has found where its own GID
 * stands. */
void port_tables_show_source(const struct context *context, struct ibv_ah_attr *attr);
/* The same where several lead there, of which the application knows it as @shown. */
void port_tables_show_source_as(
        const struct context *context, struct ibv_ah_attr *attr, const union ibv_gid *shown);

/* Of a completion; inside the gate of its queue. */
static inline uint16_t port_tables_pkey_to_shown(const struct port_tables *tables, uint16_t real)
{
	return real < tables->pkey_shown_count ? tables->pkey_shown[real] : real;
}

/* Of what came to the device's GID @real; NULL: it is shown as it is. Where several lead there, the
 * first. Inside the gate as well. */
static inline const union ibv_gid *port_tables_gid_to_shown(
        const struct port_tables *tables, const union ibv_gid *real)
{
	for (unsigned i = 0; i < tables->gid_pair_count; i++) {
		if (!memcmp(&tables->gid_pairs[i].real, real, sizeof(*real)))
			return &tables->gid_pairs[i].shown;
	}
	return NULL;
}

/* In a child after fork. */
void port_tables_in_child(void);

#endif
