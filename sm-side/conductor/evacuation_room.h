/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where VMs that leave a host may go, and whether there is room for all of them beside those of
 * other evacuations: a VF for each, found by moving others along. Nobody goes to a host that is
 * being emptied itself, nor to one that was while his own evacuation went on. Pure; the conductor's
 * thread.
 */
#ifndef TETHER_EVACUATION_ROOM_H
#define TETHER_EVACUATION_ROOM_H

#include "sm-side/conductor/evacuation.h"

/* Is @host being emptied now? By an evacuation that was aborted it is not any more. */
bool evacuation_empties(const struct evacuations *evacuations, const char *host);

/*
 * Of the hosts that may take @evacuee the one with the most free VFs that it could go to and that
 * leaves a VF to all who wait, in this evacuation and in others; in *@host, which is the
 * inventory's. "no-free-vf": there is none now. "no-memory".
 */
struct admission evacuation_destination(const struct evacuations *evacuations,
        const struct evacuation *evacuation, const struct evacuee *evacuee,
        const struct inventory *inventory, const struct under_way *under_way, const char **host);

/* May @made, which is not among @evacuations yet, begin: is there a VF for each VM of it, and as
 * many as before for those who wait in others, though its host takes nobody any more? */
struct admission evacuation_room(const struct evacuations *evacuations,
        const struct evacuation *made, const struct inventory *inventory,
        const struct under_way *under_way);

#endif
