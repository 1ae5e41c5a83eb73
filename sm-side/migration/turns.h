/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whose turn it is to PREPARE. Who is concerned by a migration is known from the answers to that;
 * so one asks after the other, and who shares connections with one that has asked waits for its
 * end. Pure.
 *
 * Who waits has asked nobody, and waits for one that has asked, or was asked for earlier: so there
 * is no circle. Who has let others go first often enough lets nobody past who was asked for later
 * and shares connections with it.
 */
#ifndef TETHER_TURNS_H
#define TETHER_TURNS_H

#include "sm-side/migration/admission.h"

enum turn {
	TURN_IS_OURS,
	TURN_WAITS,         /* another is being prepared, or goes first */
	TURN_WAITS_FOR_END, /* of the one that moves the other end of our connections */
};

/* @migration is PREPARING and has asked nobody. *@other: whose end it would wait for in any case;
 * NULL: nobody's. */
enum turn turn_of(const struct under_way *under_way, const struct migration *migration,
        const struct migration **other);

/*
 * Whose end @migration has to wait for by what it has been answered now, by @names: of one that has
 * asked, or, while it is being prepared, of one that was there first and has let others go before.
 * NULL: nobody's.
 */
const struct migration *turn_sharing(const struct under_way *under_way,
        const struct migration *migration, char *const *names, size_t count);

/* The one of those that wait that was asked for first after migration @after; NULL: none. */
const struct migration *turn_next(const struct under_way *under_way, uint64_t after);

/* An evacuation asks again by itself, and has others to move meanwhile. */
bool turn_may_be_waited_for(const struct migration *migration);

#endif
