/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Protection domains and memory regions; their keys keep the value that the application first saw.
 */
#ifndef TETHER_MEMORY_H
#define TETHER_MEMORY_H

#include "preload/memory_map.h"
#include "preload/objects.h"

/*
 * Register all regions of @context again, on the real domains that stand behind theirs now. Of
 * memory that the application has unmapped since nothing can be registered: who touches it gets the
 * error of an access out of bounds. In the exclusive control section. -errno.
 */
int memory_regions_rebuild(struct context *context);

/* For verbs_context: advice names regions as they are now. An errno. */
int memory_advise(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
        struct ibv_sge *sges, uint32_t count);

/* That the kernel locks for the regions of @context: whole pages, but for those on demand. */
uint64_t memory_regions_locked(const struct context *context);

/* Whole, in one piece or not there at all, and with the access that it was registered for. */
bool memory_region_can_move(const struct memory_region *mr, const struct memory_map *map);

#endif
