/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a tally knows; shared by tally.c (who takes part) and tally_merge.c (what their answers come
 * to), and by nobody else. */
#ifndef TETHER_TALLY_STATE_H
#define TETHER_TALLY_STATE_H

#include "notifier/relay/tally.h"
#include "notifier/relay/vm_names.h"

enum stand {
	STAND_NAMED,    /* by the event, and it is not below */
	STAND_EXPECTED, /* has to answer and is not here yet */
	STAND_HANDED,
	STAND_PASSED_OVER, /* handed, and not waited for */
	STAND_ANSWERED,
	STAND_MISSING, /* a relay between says that it did not answer */
	STAND_ENDED,
	STAND_FORGOTTEN,
};

struct participant {
	uint8_t stand;
	bool is_own; /* the name is the tally's */
};

struct tally {
	struct event_key key;
	char *prefix;
	struct name_index names;          /* those whom the event names, then the others */
	struct participant *participants; /* by the place of their name */
	size_t room;
	struct vm_names of_vm; /* those whom the event names, then others who are expected; the
	                          texts are those of names */
	size_t named;
	size_t told_last; /* the place and 1 of whom somebody below told of last */
	size_t awaited;   /* EXPECTED and HANDED */
	size_t packed;    /* bytes of what was merged */
	bool too_large;
	Tether__Answer *merged; /* its names are those of names */
};

static inline bool stand_is_awaited(enum stand stand)
{
	return stand == STAND_EXPECTED || stand == STAND_HANDED;
}

static inline bool stand_is_handed(enum stand stand)
{
	return stand == STAND_HANDED || stand == STAND_PASSED_OVER;
}

/* Until the next is added. NULL: it takes no part. */
struct participant *tally_find(const struct tally *tally, const char *text);
/* Its name. */
const char *tally_text(const struct tally *tally, const struct participant *participant);
void tally_stand_set(struct tally *tally, struct participant *participant, enum stand stand);
/* Whom @answer tells of. -ENOMEM */
int tally_names_merge(struct tally *tally, const Tether__Answer *answer);

#endif
