/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_lids.h"

#include <stdlib.h>
#include <string.h>

enum { LIDS = UINT16_MAX + 1 };

struct directory_lids {
	struct lid_owner {
		const char *host; /* NULL: nobody's */
		bool shared;
	} at[LIDS];
};

static const char *host_of(const struct directory_place *place)
{
	return *place->host ? place->host : place->next;
}

static void note(void *context, const struct directory_place *place)
{
	struct directory_lids *lids = context;

	for (size_t i = 0; *host_of(place) && i < place->lid_count; i++) {
		struct lid_owner *owner = &lids->at[place->lids[i] % LIDS];

		if (!owner->host || (owner->shared && !place->shared_port))
			*owner = (struct lid_owner){host_of(place), place->shared_port};
	}
}

struct directory_lids *directory_lids_of(const struct directory *directory)
{
	struct directory_lids *lids = calloc(1, sizeof(*lids));

	if (lids)
		directory_each(directory, note, lids);
	return lids;
}

void directory_lids_free(struct directory_lids *lids)
{
	free(lids);
}

static bool had(const struct directory_place *now, uint32_t lid)
{
	for (size_t i = 0; i < now->lid_count; i++)
		if (now->lids[i] == lid)
			return now->shared_port;
	return false;
}

bool directory_lids_share(
        struct directory_lids *lids, const struct directory_place *now, uint32_t lid)
{
	struct lid_owner *owner = &lids->at[lid % LIDS];

	if (!owner->host && *host_of(now))
		*owner = (struct lid_owner){host_of(now), true};
	/* Of two that had it before neither loses it. */
	return owner->host &&
	       (!strcmp(owner->host, host_of(now)) || (owner->shared && had(now, lid)));
}
