/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/known_gids.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/gid_name.h"

/* Of all lists; nothing else is locked inside. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool have(const struct known_gids *known, const union ibv_gid *gid)
{
	for (unsigned i = 0; i < known->count; i++) {
		if (!memcmp(&known->at[i], gid, sizeof(*gid)))
			return true;
	}
	return false;
}

static int add(struct known_gids *known, const union ibv_gid *gid)
{
	union ibv_gid *more;

	if (!gid_name(gid->raw) || have(known, gid))
		return 0;
	more = realloc(known->at, (known->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	more[known->count++] = *gid;
	known->at = more;
	return 1;
}

int known_gids_add(struct known_gids *known, const union ibv_gid *gid)
{
	LOCK_GUARD(&lock);
	return add(known, gid);
}

unsigned known_gids_announced(const struct known_gids *known)
{
	LOCK_GUARD(&lock);
	return known->announced;
}

bool known_gids_get(const struct known_gids *known, unsigned i, union ibv_gid *gid)
{
	LOCK_GUARD(&lock);
	if (i >= known->announced)
		return false;
	*gid = known->at[i];
	return true;
}

bool known_gids_next(struct known_gids *known, union ibv_gid *gid)
{
	LOCK_GUARD(&lock);
	if (known->announced == known->count)
		return false;
	*gid = known->at[known->announced++];
	return true;
}

bool known_gids_have_name(const struct known_gids *known, uint32_t name)
{
	LOCK_GUARD(&lock);
	for (unsigned i = 0; i < known->count; i++) {
		if (gid_name(known->at[i].raw) == name)
			return true;
	}
	return false;
}

int known_gids_copy(struct known_gids *to, const struct known_gids *from)
{
	union ibv_gid *copy = NULL;

	LOCK_GUARD(&lock);
	if (from->count) {
		copy = malloc(from->count * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, from->at, from->count * sizeof(*copy));
	}
	free(to->at);
	*to = (struct known_gids){copy, from->count, from->announced};
	return 0;
}

void known_gids_clear(struct known_gids *known)
{
	LOCK_GUARD(&lock);
	free(known->at);
	*known = (struct known_gids){0};
}

void known_gids_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
}
