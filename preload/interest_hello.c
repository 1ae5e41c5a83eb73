/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a HELLO says again of all that is of interest. */
#include "preload/interests_state.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/wire/gid_name.h"

/* The GID is copied: the list outlives the lock. */
static void list_append(struct interest_list *list)
{
	Tether__Address *address = &list->addresses[list->count];

	if (address->gid.len) {
		memcpy(list->gids[list->count], address->gid.data, sizeof(list->gids[0]));
		address->gid.data = list->gids[list->count];
	}
	list->pointers[list->count++] = address;
}

void interests_list(struct interest_list *list)
{
	struct interest *interest;
	size_t room = announcements_count(), own;

	TAILQ_FOREACH(interest, &all_interests.list, link)
	room++;
	*list = (struct interest_list){
	        .pointers = calloc(room + 1, sizeof(*list->pointers)),
	        .addresses = calloc(room + 1, sizeof(*list->addresses)),
	        .gids = calloc(room + 1, sizeof(*list->gids)),
	};
	if (!list->pointers || !list->addresses || !list->gids)
		return;
	TAILQ_FOREACH(interest, &all_interests.list, link)
	{
		/* One that was refused is to take nobody's room of those that were not. One that
		 * is registered all the same would be let go. */
		if (interest->to_be_dropped || (interest->refused && !interest->registered))
			continue;
		interest_address(&interest->to, &list->addresses[list->count]);
		list_append(list);
	}
	own = announcements_addresses(&list->addresses[list->count]);
	while (own--)
		list_append(list);
	/* It is not known yet what the agent speaks. */
	for (size_t i = 0; i < list->count; i++)
		address_unname(&list->addresses[i]);
}

void interest_list_free(struct interest_list *list)
{
	free(list->pointers);
	free(list->addresses);
	free(list->gids);
}
