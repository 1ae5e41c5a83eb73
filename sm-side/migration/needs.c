/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/needs.h"

#include <stddef.h>

static uint32_t at_least;

static bool moves_a_shared_port(const struct migration_intent *intent)
{
	return intent->shared_port;
}

static bool moves_links(const struct migration_intent *intent)
{
	return intent->dynamic;
}

static bool moves_several_vfs(const struct migration_intent *intent)
{
	return intent->others;
}

/* Rows of versions that nobody speaks any more may go. */
static const struct {
	bool (*is)(const struct migration_intent *intent);
	uint32_t version;
} kinds[] = {
        {moves_a_shared_port, 3},
        {moves_links, 4},
        {moves_several_vfs, 6},
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
