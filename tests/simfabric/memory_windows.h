/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory windows (IBA 10.6.7): a part of a region, opened to peers for as long as the window is
 * bound to it, without a system call. Type 1 goes by its protection domain and may be bound again
 * at any time; type 2 (2B) by the queue pair that bound it, is bound once and ended by
 * invalidation, local or by a peer's SEND. Under the HCA's lock; windows are the caller's.
 */
#ifndef SIMFABRIC_MEMORY_WINDOWS_H
#define SIMFABRIC_MEMORY_WINDOWS_H

#include "simfabric/memory_keys.h"

/* A queue pair, as far as windows go by it: it is named to memory_keys_resolve in the place of a
 * PD. */
struct window_owner {
	struct memory_window *windows; /* of type 2, bound by it */
};

struct memory_window {
	struct memory_region region; /* first; what peers may do now. No length: it is not bound */
	bool is_type_2;
	const void *pd;
	struct memory_region *of;   /* NULL: not bound */
	struct window_owner *owner; /* of type 2, bound */
	struct memory_window *next_of_region, *next_of_owner;
};

/* What a bind asks for. */
struct window_bind {
	uint32_t window; /* its rkey when the request was made, and still when its turn comes */
	uint32_t rkey;   /* the one to have afterwards: the same place, another tag as one likes */
	uint32_t lkey;   /* of the region */
	bool is_type_2;
	unsigned access;
	uint64_t address, length;
};

/* Not bound yet; its region.key is known. Errors as memory_keys_add. */
int memory_window_add(
        struct memory_keys *keys, struct memory_window *window, const void *pd, bool is_type_2);
void memory_window_remove(struct memory_keys *keys, struct memory_window *window);

/* False: a memory window bind error, and nothing has changed. Type 1 without length is unbound. */
bool memory_window_bind(struct memory_keys *keys, const void *pd, struct window_owner *owner,
        const struct window_bind *bind);
/* End a window of type 2 that @owner has bound; false: @rkey is not one's. */
bool memory_window_invalidate(
        struct memory_keys *keys, const struct window_owner *owner, uint32_t rkey);

/* Unbind what is bound to a region that goes, or by a queue pair that does. */
void memory_windows_forget_region(struct memory_region *region);
void memory_windows_forget_owner(struct window_owner *owner);

#endif
