/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which GID each name stands for that somebody holds (gid_name.h), and which VM announces it as its
 * own: the first who does, for as long as it does. So a name is never two GIDs, and no GID two
 * VMs'. Pure; part of a set of interests and of its thread.
 */
#ifndef TETHER_GID_BOOK_H
#define TETHER_GID_BOOK_H

#include <stddef.h>
#include <stdint.h>

#include "notifier/wire/gid_name.h"

struct gid_book;

/* NULL: no memory. */
struct gid_book *gid_book_create(void);
void gid_book_destroy(struct gid_book *book);

/* 0: it may be held; -EEXIST: another GID has its name; -EACCES: another VM than @vm announces it.
 * @vm: whose announcement; NULL: it is none. */
int gid_book_check(
        const struct gid_book *book, uint32_t name, const uint8_t gid[GID_BYTES], const char *vm);
/* Hold it once more. The same, and -ENOMEM. */
int gid_book_hold(
        struct gid_book *book, uint32_t name, const uint8_t gid[GID_BYTES], const char *vm);
/* As often as it was held. @announced: that was an announcement. */
void gid_book_let_go(struct gid_book *book, uint32_t name, bool announced);

/* Which VM announces it; NULL: none. Until the next change, as what is found below. */
const char *gid_book_vm(const struct gid_book *book, uint32_t name);
/* The GID that has that name; false: none is held. */
bool gid_book_find(const struct gid_book *book, uint32_t name, uint8_t gid[GID_BYTES]);
/* All that @vm announces, or (NULL) that any does, in no order. */
typedef void gid_book_told(void *context, const char *vm, const uint8_t gid[GID_BYTES]);
void gid_book_each(const struct gid_book *book, const char *vm, gid_book_told *each, void *context);

#endif
