/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is kept of each VM that has moved, and what those share who keep, find and forget it:
 * numbers.c, numbers_presence.c, numbers_find.c, numbers_datagrams.c, and nobody else. */
#ifndef TETHER_NUMBERS_STATE_H
#define TETHER_NUMBERS_STATE_H

#include <string.h>

#include "notifier/wire/rows.h"
#include "sm-side/root/numbers.h"

struct numbers_row {
	struct numbers_row *next;
	struct address address;
	bool shared_port; /* rows say under which LIDs they are known, and where they are */
	Tether__QpRows qps;
	Tether__KeyRows keys;
	Tether__GidRows gids; /* of its queue pairs, where an Ethernet port is */
};

static inline bool numbers_same_gid(const struct address *a, const struct address *b)
{
	return !memcmp(a->gid, b->gid, sizeof(a->gid));
}

/* The next VM from @row on that may be meant by @asked. */
struct numbers_row *numbers_next_at(struct numbers_row *row, const struct address *asked);

#define EACH_AT(numbers, asked, row)                                                               \
	for (row = numbers_next_at((numbers)->first, asked); row;                                  \
	        row = numbers_next_at((row)->next, asked))

/* To whom at @address it matters what is announced. */
struct presence {
	const struct address *address;
	numbers_announced *announced;
	void *owner;
};

/* Under the LID that it shows @context is announced. */
bool numbers_is_present(
        const struct presence *presence, const struct numbers_row *row, uint32_t context);

/* What an answer is filled with. */
struct found {
	Tether__QpRows *qps;
	Tether__KeyRows *keys; /* NULL: for datagrams */
	Tether__GidRows *gids;
};

/* -ENOMEM */
int numbers_append(
        const struct numbers_row *of, const struct qp_row *row, const struct found *found);
/* Where @row is, if @from says it. -EEXIST: @into has another of that name; -ENOMEM */
int numbers_gid_append(
        Tether__GidRows *into, const Tether__GidRows *from, const struct qp_row *row);

#endif
