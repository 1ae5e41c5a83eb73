/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A forwarding table that names one port for nearly all LIDs that are routed at all, as a vSwitch's
 * does (its uplink), in a few hundred bytes instead of up to 48 KB. The set of routed LIDs is the
 * same in nearly all tables of a subnet and shared by them. Exact: what deviates is an exception.
 * Pure. A table belongs to whoever made it; the set has to outlive it.
 */
#ifndef TETHER_COMPACT_LFT_H
#define TETHER_COMPACT_LFT_H

#include <stddef.h>
#include <stdint.h>

struct routed_lids {
	struct routed_lids *next; /* for its owner */
	uint64_t bits[65536 / 64];
};

struct lft_exception {
	uint16_t lid;
	uint8_t port;
};

struct compact_lft {
	const struct routed_lids *routed;
	uint32_t exception_count;
	uint8_t port;                      /* of LIDs that are routed and no exception */
	struct lft_exception exceptions[]; /* ascending by LID */
};

/* The LIDs for which @lft has a port. */
void routed_lids_of(const uint8_t *lft, uint32_t entries, struct routed_lids *routed);

/*
 * -E2BIG: not worth it, there would be too many exceptions. -ENOMEM. Else *@made is to be freed
 * with free.
 */
int compact_lft_create(const uint8_t *lft, uint32_t entries, const struct routed_lids *routed,
        struct compact_lft **made);
uint8_t compact_lft_entry(const struct compact_lft *table, uint16_t lid);
size_t compact_lft_bytes(const struct compact_lft *table);

#endif
