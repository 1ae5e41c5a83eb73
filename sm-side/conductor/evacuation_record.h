/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What of evacuations goes into the journal and comes back: each of them, and how each VM fares.
 * Pure: records in, records out.
 */
#ifndef TETHER_EVACUATION_RECORD_H
#define TETHER_EVACUATION_RECORD_H

#include "sm-side/conductor/evacuation.h"

/* @whole: the evacuation itself. And those of its VMs that have not been written as they stand.
 * *@records is the caller's to free, what it points to is @evacuation's. -ENOMEM. */
int evacuation_records(
        const struct evacuation *evacuation, bool whole, struct record **records, size_t *count);
/* The journal has taken them. */
void evacuation_written(struct evacuation *evacuation);

/* Take one, an evacuation before its VMs and these in their order. -EBADMSG: it does not follow
 * from those before it; -ENOMEM. */
int evacuations_take(struct evacuations *evacuations, const struct record *record);

#endif
