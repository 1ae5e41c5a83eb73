/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who wants to hear of which address: a set of (child, address). Pure; belongs to one relay and its
 * thread. A child holds an address or does not: holding it twice is holding it once.
 *
 * Addresses are equal if both have a LID and it is the same, or if one has none and the GIDs are
 * the same.
 */
#ifndef TETHER_INTEREST_H
#define TETHER_INTEREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct address {
	uint16_t lid; /* 0: none */
	uint8_t gid[16];
};

/* -EINVAL: neither LID nor GID, or a LID or GID of the wrong size. */
int address_decode(const Tether__Address *wire, struct address *address);
/* @wire points into @address afterwards. */
void address_encode(const struct address *address, Tether__Address *wire);
bool address_equal(const struct address *a, const struct address *b);

struct interest;

struct interest *interest_create(void);
void interest_destroy(struct interest *interest);

/* 1: nobody held it before, 0: somebody did (maybe this child), -ENOMEM. */
int interest_add(struct interest *interest, uint32_t child, const struct address *address);
/* 1: nobody holds it any more, 0: still held, -ENOENT: this child did not. */
int interest_drop(struct interest *interest, uint32_t child, const struct address *address);
bool interest_holds(const struct interest *interest, uint32_t child, const struct address *address);
/* How many addresses @child holds: for its quota. */
size_t interest_count(const struct interest *interest, uint32_t child);

/* Each address that anybody holds, once; or (child not 0) that @child holds. @each may not change
 * the set. */
void interest_for_each(const struct interest *interest, uint32_t child,
        void (*each)(void *context, const struct address *address), void *context);

#endif
