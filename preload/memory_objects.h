/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Memory regions and windows, and what a context keeps of windows. Included by objects.h. */
#ifndef TETHER_MEMORY_OBJECTS_H
#define TETHER_MEMORY_OBJECTS_H

#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "preload/translation.h"

enum region_kind { REGION_PLAIN, REGION_IOVA };

struct memory_region {
	struct ibv_mr shown;
	struct ibv_mr *real;
	enum region_kind kind;
	uint64_t iova;
	unsigned access;
	TAILQ_ENTRY(memory_region) link;
};

/* A bind, in the application's terms. */
struct window_binding {
	struct memory_region *mr; /* NULL: to nothing */
	uint64_t addr, length;
	unsigned access;
	uint32_t rkey;         /* that the window has by it */
	struct queue_pair *qp; /* of type 2: it alone lets peers in */
};

struct memory_window {
	struct ibv_mw shown;
	struct ibv_mw *real;
	uint32_t number;      /* the upper 24 bits of its keys, virtual */
	uint8_t tag_shift;    /* what its real keys have more in their lower 8 bits */
	bool lapsed;          /* @bound, but not on the device: to be bound again */
	bool rebuilt;         /* peers translate its number */
	bool renewed_by_post; /* type 2: the provider has set its key; inside the send gate */
	bool ended_early;     /* of a bind whose completion is still to come: */
	uint32_t early_rkey;  /* a peer has invalidated it */
	struct window_binding bound; /* as of the last bind that has completed */
	uint32_t rkey;               /* of that one, also where it was invalidated since */
	TAILQ_ENTRY(memory_window) link;
};

/* What becomes of windows of type 2 when the queue pair that has bound them goes to RESET. */
enum reset_of_windows { RESET_IS_UNKNOWN, RESET_ENDS_WINDOWS, RESET_KEEPS_WINDOWS };

/* The memory windows of a context (memory_windows.h); all of it under the lock. */
struct window_set {
	pthread_mutex_t lock;
	TAILQ_HEAD(, memory_window) list;
	struct number_table
	        numbers;            /* virtual, to windows; to NULL: was one's, peers may know it */
	struct number_table places; /* real, to windows */
	bool any_of_type_2;         /* there has been one: receives may invalidate */
	bool renewed_by_posts;      /* the provider sets the keys of type 2; atomic */
	enum reset_of_windows reset; /* of the device */
};

#endif
