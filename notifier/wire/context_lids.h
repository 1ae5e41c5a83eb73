/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Under which LIDs the contexts of a VM with several VFs are known: each row of a queue pair says
 * its own. Looked up once for each change of context in a table of keys, by whoever has no say in
 * how long the tables are. Any thread; a table belongs to its caller.
 */
#ifndef TETHER_CONTEXT_LIDS_H
#define TETHER_CONTEXT_LIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/wire/rows.h"

struct context_lid {
	uint32_t context, lid;
};

struct context_lids {
	struct context_lid *at; /* sorted by context, then LID */
	size_t count;
};

/* Of the VM's own rows in @qps. The caller clears it. -EBADMSG, -ENOMEM: it is empty. */
int context_lids_fill(struct context_lids *lids, const Tether__QpRows *qps);
void context_lids_clear(struct context_lids *lids);

/* The lowest; 0: none. _next: the lowest above @lid, of which there need be none. */
uint32_t context_lids_first(const struct context_lids *lids, uint32_t context);
uint32_t context_lids_next(const struct context_lids *lids, uint32_t context, uint32_t lid);
bool context_lids_have(const struct context_lids *lids, uint32_t context, uint32_t lid);

#endif
