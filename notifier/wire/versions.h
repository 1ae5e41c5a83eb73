/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which version of the protocol is spoken over a link: the newest that both its ends know, of which
 * there is one where they are not more than one apart (notifier/DESIGN.md, "Versions"). Any thread,
 * after versions_pretend.
 */
#ifndef TETHER_VERSIONS_H
#define TETHER_VERSIONS_H

#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

/* tether-smd and its plugin say it to each other; who says none is older. */
enum { VERSION_SAID_SINCE = 6 };

/* For tests: to be the build of another version, from PROTOCOL_OLDEST (which speaks no other) to
 * the one after this. NULL and anything else: no such wish. */
void versions_pretend(const char *wish);

uint32_t versions_newest(void);
uint32_t versions_oldest(void);

/* What this end speaks, for its HELLO. */
void versions_say(Tether__Hello *hello);
/* What is spoken with whoever says these two of himself (the newest may be 0: no other than the
 * oldest); 0: they have none in common. */
uint32_t versions_common(uint32_t their_oldest, uint32_t their_newest);
/* What the other end has chosen, by its answer; 0: it chooses none, and speaks the oldest. */
uint32_t versions_chosen(uint32_t answered);
/* "versions 6 to 7", "version 6". */
void versions_name(uint32_t oldest, uint32_t newest, char *text, size_t size);

#endif
