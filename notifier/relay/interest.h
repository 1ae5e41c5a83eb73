/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Who wants to hear of which address: a set of (member, address), a member being a number that its
 * owner gives to each child: which VM it is of, and which of all it is. Pure; belongs to one relay
 * and its thread. Holding an address twice is holding it once.
 *
 * An address is held under its LID or, where it has none (RoCE), under its GID. Asking with both
 * finds either.
 *
 * An address with a context is an announcement: there is that context at the address, or with a
 * QPN, that queue pair, whose rkeys are of the context. Announcements are held apart from
 * addresses.
 *
 * A name of a GID stands for one GID only, and is announced by one VM (gid_book.h).
 */
#ifndef TETHER_INTEREST_H
#define TETHER_INTEREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct address {
	uint32_t lid; /* 0: none; of an Ethernet port the name of @gid (gid_name.h) */
	uint8_t gid[16];
	uint32_t qpn;
	uint32_t context; /* of a queue pair: what is said last counts; 0: an address */
	const char *vm;   /* of an announcement of a name: whose it is, where that is of interest;
	                   * whoever keeps an address does not keep this */
};

static inline bool address_is_announcement(const struct address *address)
{
	return address->qpn || address->context;
}

/* One without a LID is at its GID's name, as an older end says it, and a HELLO.
 * -EINVAL: neither LID nor GID, a GID of the wrong size, or a LID above 16 bits that is not its
 * name. */
int address_decode(const Tether__Address *wire, struct address *address);
/* @wire points into @address afterwards. */
void address_encode(const struct address *address, Tether__Address *wire);
/* Asking for @asked finds what is held under @held. */
bool address_matches(const struct address *asked, const struct address *held);
/* The same for addresses with the same LID, or with none and the same GID, and the same queue pair,
 * or with none and the same context. Keyed: nobody can choose addresses that fall into one place.
 */
size_t address_hash(const struct address *address);

/* 0 is nobody. */
enum { MEMBER_SLOTS = 1 << 14 };

/* @vm 0: of none; @slot: no other member's, whatever its VM. */
static inline uint32_t member_of(uint32_t vm, uint32_t slot)
{
	return vm * MEMBER_SLOTS + slot;
}

static inline uint32_t member_vm(uint32_t member)
{
	return member / MEMBER_SLOTS;
}

static inline uint32_t member_slot(uint32_t member)
{
	return member % MEMBER_SLOTS;
}

struct gid_book;
struct interest;

struct interest *interest_create(void);
/* One that asks nobody whose a name is: for what is looked at in another. */
struct interest *interest_create_bare(void);
void interest_destroy(struct interest *interest);

/* 0: it may be held; else as gid_book_check. */
int interest_check(const struct interest *interest, const struct address *address);
/* 2: nobody held it before, 1: this member did not, 0: it did, -ENOMEM, or as interest_check. */
int interest_add(struct interest *interest, uint32_t member, const struct address *address);
/* 2: nobody holds it any more, 1: others do, 0: this member did not hold it. */
int interest_drop(struct interest *interest, uint32_t member, const struct address *address);
bool interest_holds(
        const struct interest *interest, uint32_t member, const struct address *address);
bool interest_is_held(const struct interest *interest, const struct address *address);
/* What is held under the key of @address, with its context; NULL: nothing. Until the next change.
 */
const struct address *interest_find(const struct interest *interest, const struct address *address);
/* P_Keys that are kept with what is held under @address, as long as it is; a copy. -ENOENT: nothing
 * is; -ENOMEM */
int interest_pkeys_set(struct interest *interest, const struct address *address,
        const uint32_t *pkeys, size_t count);
/* NULL: none are known. Until the next change. */
const uint32_t *interest_pkeys(
        const struct interest *interest, const struct address *address, size_t *count);
/* How many addresses and announcements @member holds, or (0) how many are held by anybody. */
size_t interest_count(const struct interest *interest, uint32_t member);
/* How many of @member's are like @address, announcements or not. */
size_t interest_count_like(
        const struct interest *interest, uint32_t member, const struct address *address);

/* What all members of @member's VM hold: how many different ones like @address, which they would
 * hold no more of by holding @address; and how often anything. Nothing where it is of none. */
size_t interest_count_of_vm(
        const struct interest *interest, uint32_t member, const struct address *address);
bool interest_vm_holds(
        const struct interest *interest, uint32_t member, const struct address *address);
size_t interest_vm_holdings(const struct interest *interest, uint32_t member);

/* Each address that @member holds, or (0) that anybody holds, once. @each may not change the set.
 */
void interest_for_each(const struct interest *interest, uint32_t member,
        void (*each)(void *context, const struct address *address), void *context);
/* Of all that is held; NULL where it is bare. */
const struct gid_book *interest_names(const struct interest *interest);

#endif
