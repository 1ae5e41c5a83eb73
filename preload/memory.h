/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Protection domains and memory regions; their keys keep the value that the application first saw.
 */
#ifndef TETHER_MEMORY_H
#define TETHER_MEMORY_H

#include "preload/objects.h"

/*
 * Register again on the real domain that stands behind the region's now. In the exclusive control
 * section. -errno.
 */
int memory_region_rebuild(struct memory_region *mr);

/* For verbs_context: advice names regions as they are now. An errno. */
int memory_advise(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
        struct ibv_sge *sges, uint32_t count);

/* Is all of it mapped, with the access that it was registered for? Reads /proc/self/maps. */
struct memory_map;
struct memory_map *memory_map_read(void);
void memory_map_free(struct memory_map *map);
bool memory_region_is_mapped(const struct memory_region *mr, const struct memory_map *map);

#endif
