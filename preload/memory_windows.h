/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory windows: the objects, their keys, and what they are bound to as far as completions tell.
 * A window's key is a number in the upper 24 bits, which a move translates as it does other
 * numbers, and a tag in the lower 8, which is the application's (type 2) or counts binds (type 1);
 * the tag of the real key differs by a constant until the next move. The work requests:
 * window_work.h; what is bound after a move: window_binding.h.
 */
#ifndef TETHER_MEMORY_WINDOWS_H
#define TETHER_MEMORY_WINDOWS_H

#include "preload/objects.h"

/* Of a key: the tag. The rest is the window's number. */
enum { WINDOW_TAG_MASK = 0xff };

/* For ibv_context_ops; as ibv_alloc_mw(3) and ibv_dealloc_mw(3) say. */
struct ibv_mw *memory_window_alloc(struct ibv_pd *pd, enum ibv_mw_type type);
int memory_window_dealloc(struct ibv_mw *mw);

void window_set_init(struct window_set *windows);
void window_set_fini(struct window_set *windows);

/* Would peers take @rkey for one of a window? */
bool window_key_is_virtual(struct context *context, uint32_t rkey);
uint32_t window_key_to_real(const struct memory_window *mw, uint32_t rkey);
/* Of any key that the application names, in its own context: one that is no window's stays. */
uint32_t window_local_key_to_real(struct context *context, uint32_t rkey);

/* ---- what completions tell; any thread ---- */

/*
 * Receives of a new queue pair may say that a peer has invalidated one. It is in its list: whoever
 * allocates the first window that can be finds it there, or is seen here.
 */
void windows_look_at(struct queue_pair *qp);

/* A bind is posted for the first time: what was known of that key was of an earlier one. True: that
 * it had ended. */
bool window_bind_begins(struct memory_window *mw, uint32_t rkey);
/* It was refused, and that is still true. */
void window_bind_did_not_begin(struct memory_window *mw, uint32_t rkey);
/* Bound: has completed, or is known as executed. */
void window_was_bound(struct memory_window *mw, const struct window_binding *bound);
/* The queue pair's own LOCAL_INV of that key, or nothing where it is no window's. */
void window_was_invalidated(struct context *context, uint32_t rkey);
/* A receive says that a peer has: its real key becomes the application's. */
void window_was_invalidated_by_peer(struct queue_pair *qp, struct ibv_wc *wc);

/* ---- what goes; control verbs ---- */

/*
 * For control_enter_after. The device is binding one again, to this region or at all: if that ended
 * now it would be refused, and take the queue pair with it.
 */
bool memory_window_is_being_bound(const void *mw);
bool windows_are_being_bound_to(const void *mr);

/* Windows that are bound to it are bound to nothing; and work that would bind one is void. */
void windows_forget_region(struct memory_region *mr);
/* It lets nobody in any more. All four gates. */
void windows_forget_queue_pair(struct queue_pair *qp);

/* ---- steps; the service thread, control verbs kept out ---- */

/* Before regions and domains go. 0 or -errno. */
int memory_windows_tear_down(struct context *context);
/* All of the context's that have no real one; bound to nothing, @lapsed says where that is wrong.
 * 0 or -errno. */
int memory_windows_rebuild(struct context *context);
bool memory_windows_are_whole(const struct context *context);

#endif
