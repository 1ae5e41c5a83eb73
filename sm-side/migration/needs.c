/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/needs.h"

#include <stddef.h>

static uint32_t at_least;

/* LIDs above 16 bits. */
static bool moves_names(const struct migration_intent *intent)
{
	return migration_is_by_gids(intent);
}

/* A version that everybody speaks needs no row any more. */
static const struct {
	bool (*is)(const struct migration_intent *intent);
	uint32_t version;
} kinds[] = {
        {moves_names, 7},
};

void needs_at_least(uint32_t version)
{
	at_least = version;
}

uint32_t needs_of(const struct migration_intent *intent)
{
	uint32_t needs = at_least;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].version > needs && kinds[i].is(intent))
			needs = kinds[i].version;
	return needs;
}
