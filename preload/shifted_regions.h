/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory regions whose addresses are not those of the process: registered with an address of their
 * own, or counting from 0. Who has to look into a buffer finds out here where it is. Few, most
 * often none. Belongs to a context; changed by control verbs, read by any thread without a lock.
 */
#ifndef TETHER_SHIFTED_REGIONS_H
#define TETHER_SHIFTED_REGIONS_H

#include <pthread.h>
#include <stdint.h>

/* Zero-initialised there are none. */
struct shifted_regions {
	pthread_mutex_t lock; /* who changes it; nothing else is locked inside */
	struct shifted_list *list;
};

/* By its key, to which @shift is added: 0 takes it out. -ENOMEM */
int shifted_regions_set(struct shifted_regions *regions, uint32_t lkey, uint64_t shift);
uint64_t shifted_regions_find(const struct shifted_regions *regions, uint32_t lkey);
void shifted_regions_fini(struct shifted_regions *regions);

/* What has to be added to an address there, to have one of the process. */
static inline uint64_t shifted_regions_shift(const struct shifted_regions *regions, uint32_t lkey)
{
	return __atomic_load_n(&regions->list, __ATOMIC_ACQUIRE)
	               ? shifted_regions_find(regions, lkey)
	               : 0;
}

#endif
