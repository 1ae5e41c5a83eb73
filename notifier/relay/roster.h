/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The names that an event expects to answer, each once, in its order and by VM. It does not change:
 * the steps of a migration expect the same ones, and share it. Pure; one thread.
 */
#ifndef TETHER_ROSTER_H
#define TETHER_ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "notifier/relay/name_index.h"

struct roster;

/* Copies the names. NULL: no memory. */
struct roster *roster_create(char *const *names, size_t count);
struct roster *roster_hold(struct roster *roster);
/* Nothing is done for NULL. */
void roster_release(struct roster *roster);

/* From 1 to that number they have places. */
uint32_t roster_count(const struct roster *roster);
const struct name *roster_name(const struct roster *roster, uint32_t at);
/* Its place; 0: it is not there. */
uint32_t roster_find(const struct roster *roster, const struct name *name);
/* The places of those of @vm, until 0. */
uint32_t roster_first_of(const struct roster *roster, const struct name *vm);
uint32_t roster_next_of(const struct roster *roster, uint32_t at);
/* All of them, as an event has them; the roster's. */
char **roster_texts(const struct roster *roster);

/* Those of the last events, to be shared by the next. Zero-initialise. */
enum { ROSTERS_KEPT = 8 };
struct rosters {
	struct roster *last[ROSTERS_KEPT]; /* the latest first */
};

/* The one that has these names, held for the caller. NULL: no memory. */
struct roster *rosters_get(struct rosters *rosters, char *const *names, size_t count);
void rosters_clear(struct rosters *rosters);

#endif
