/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The 40 bytes in front of a datagram: who has sent it, and to which of the receiver's GIDs, where
 * there are no LIDs (RoCE). They lie in the receiver's own buffers, wherever these begin and end.
 * An IPv6 header, which a GRH is, fills them; of an IPv4 header, which its last 20 hold, the GIDs
 * are those that map its addresses (RFC 4291, 2.5.5.2), and what stands before it is undefined.
 * Pure; what is at a place belongs to whoever has the buffers.
 */
#ifndef TETHER_GRH_H
#define TETHER_GRH_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum { GRH_BYTES = 40 };

/* In order, and none is empty. */
struct grh_place {
	unsigned count;
	uint8_t *at[GRH_BYTES];
	uint8_t length[GRH_BYTES];
};

/* False: they are shorter, and @place is nothing. */
bool grh_place_in(struct grh_place *place, const struct ibv_sge *sges, unsigned count);
void grh_read(const struct grh_place *place, uint8_t header[GRH_BYTES]);
void grh_write(const struct grh_place *place, const uint8_t header[GRH_BYTES]);

enum grh_kind { GRH_IS_NONE, GRH_IS_IPV6, GRH_IS_IPV4 };

/* As ibv_init_ah_from_wc(3) takes it. */
enum grh_kind grh_kind_of(const uint8_t header[GRH_BYTES]);
/* @from, @to: not written where it is none. */
enum grh_kind grh_ends(const uint8_t header[GRH_BYTES], union ibv_gid *from, union ibv_gid *to);
/*
 * Another sender and receiver (NULL: the same) in a header of that kind; its checksum is right
 * afterwards if it was. False: an IPv4 header has no room for that GID, and nothing is changed.
 */
bool grh_set_ends(uint8_t header[GRH_BYTES], enum grh_kind kind, const union ibv_gid *from,
        const union ibv_gid *to);

#endif
