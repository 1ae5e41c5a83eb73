/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Numbers of VMs that have moved, what is announced, and what a late peer has been told last. */
#ifndef TETHER_TESTS_LATE_PEERS_H
#define TETHER_TESTS_LATE_PEERS_H

#include "notifier/wire/rows.h"
#include "sm-side/root/numbers.h"

struct late_peers {
	struct numbers numbers;
	struct interest *announced;
	Tether__QpRows qps;
	Tether__KeyRows keys;
	Tether__GidRows gids;
};

static inline void late_peers_init(struct late_peers *late)
{
	*late = (struct late_peers){.announced = interest_create(),
	        .qps = TETHER__QP_ROWS__INIT,
	        .keys = TETHER__KEY_ROWS__INIT,
	        .gids = TETHER__GID_ROWS__INIT};
}

/* Who asks next is told anew. */
static inline void late_peers_forget(struct late_peers *late)
{
	rows_clear(&late->qps.base);
	rows_clear(&late->keys.base);
	rows_clear(&late->gids.base);
}

static inline void late_peers_clear(struct late_peers *late)
{
	numbers_clear(&late->numbers);
	interest_destroy(late->announced);
	late_peers_forget(late);
}

/* Of @late, for numbers_find and its like. */
static inline const struct address *late_peers_announced(void *late, const struct address *address)
{
	return interest_find(((struct late_peers *)late)->announced, address);
}

#endif
