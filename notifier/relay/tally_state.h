/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a tally knows; shared by tally.c (who takes part) and tally_merge.c (what their answers come
 * to), and by nobody else. */
#ifndef TETHER_TALLY_STATE_H
#define TETHER_TALLY_STATE_H

#include "notifier/relay/roster.h"
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
};

struct tally {
	struct event_key key;
	char *prefix;
	struct roster *roster;            /* those whom the event names; NULL: none */
	size_t named;                     /* so many */
	struct name_index others;         /* who takes part besides; the texts are the tally's */
	struct participant *participants; /* the named by their places, then the others by theirs */
	size_t room;
	struct vm_names others_of_vm; /* of the others those who are expected */
	size_t told_last;             /* the place and 1 of whom somebody below told of last */
	size_t awaited;               /* EXPECTED and HANDED */
	size_t packed;                /* bytes of what was merged */
	bool too_large;
	Tether__Answer *merged; /* its names are those of participants */
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
static inline size_t tally_participants(const struct tally *tally)
{
	return tally->named + tally->others.count;
}

/* The name of the one at that place. */
static inline const struct name *tally_name_at(const struct tally *tally, size_t place)
{
	return place < tally->named ? roster_name(tally->roster, place + 1)
	                            : &tally->others.names[place - tally->named];
}

/* Its name. */
const char *tally_text(const struct tally *tally, const struct participant *participant);
void tally_stand_set(struct tally *tally, struct participant *participant, enum stand stand);
/* Whom @answer tells of. -ENOMEM */
int tally_names_merge(struct tally *tally, const Tether__Answer *answer);

#endif
