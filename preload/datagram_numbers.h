/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the numbers of datagram queue pairs at an address mean since their VM has moved: by which
 * real number one is reached whose virtual number an application holds, and by which virtual number
 * the application knows the sender of a datagram. One record for each address that this process
 * sends to or hears from, kept for as long as the process lives, so that address handles and the
 * data path point to it.
 *
 * Under Shared Port a VM takes its numbers to another LID, and others stay at the one that it
 * leaves: so a number means a LID besides, in the upper half of what stands in a table; 0: the
 * same. Where there are no LIDs (RoCE) the name of a GID stands for one (notifier/wire/gid_name.h):
 * that of which the application knows, and that which the device has now.
 *
 * Any thread finds and makes records. The tables of one are replaced as a whole, by the service
 * thread and by whoever drops the last interest in an address, and read without a lock, inside the
 * gate of a queue: what has been replaced is freed when everybody has left those gates once.
 */
#ifndef TETHER_DATAGRAM_NUMBERS_H
#define TETHER_DATAGRAM_NUMBERS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "notifier/wire/gid_name.h"
#include "preload/translation.h"
#include "tether.pb-c.h"

/* From here on LIDs are groups' (IBA 4.1.3). */
enum { FIRST_MULTICAST_LID = 0xc000 };

struct datagram_tables {
	struct number_table to_real, to_virtual;
	bool leads_away;              /* to another LID: what is not in it may be at either */
	uint32_t place;               /* of a name: where the first of its numbers is; 0: unknown */
	struct datagram_tables *next; /* of those that were replaced */
};

struct datagram_numbers {
	uint32_t lid; /* or the name of: */
	union ibv_gid gid;
	unsigned stopped; /* by so many moves: what is sent there is kept (datagrams.h) */
	struct datagram_tables *tables; /* NULL: every number is its own */
	uint32_t place; /* of a name: that where it is now; 0: the same. Atomic, as is */
	unsigned turns; /* how often it may have become another, or another device's */
	/* Of a name, what heard_senders.h has bits for; atomic. @is_heard: it is in the list. */
	bool is_heard, is_known;
	struct datagram_numbers *next_heard;
	struct datagram_numbers *next;
};

extern struct datagram_numbers *datagram_numbers_by_lid[FIRST_MULTICAST_LID];
/* So many records have a table that leads away. Atomic. */
extern unsigned datagram_numbers_leading_away;

/* datagram_records.c: find one, or make it. @gid counts where @lid is its name. */

/* NULL: nothing is known of that address, or another GID has that name. */
struct datagram_numbers *datagram_numbers_find(uint32_t lid, const union ibv_gid *gid);
/* NULL: a group's address, nobody's, another GID has that name, or no memory. */
struct datagram_numbers *datagram_numbers_of(uint32_t lid, const union ibv_gid *gid);
/* Whichever GID has that name. */
struct datagram_numbers *datagram_numbers_named(uint32_t name);
void datagram_numbers_each_named(
        void (*each)(struct datagram_numbers *numbers, void *owner), void *owner);

/* For a datagram that was received; NULL as above. */
static inline const struct datagram_numbers *datagram_numbers_at(uint32_t lid)
{
	if (__builtin_expect(lid >= FIRST_MULTICAST_LID, 0))
		return datagram_numbers_named(lid);
	return __atomic_load_n(&datagram_numbers_by_lid[lid], __ATOMIC_ACQUIRE);
}

static inline const struct datagram_tables *datagram_tables_of(
        const struct datagram_numbers *numbers)
{
	return numbers ? __atomic_load_n(&numbers->tables, __ATOMIC_ACQUIRE) : NULL;
}

/* Where the numbers of a name are, as far as they are together: the name of a GID. */
static inline uint32_t datagram_numbers_place(const struct datagram_numbers *numbers)
{
	uint32_t place = __atomic_load_n(&numbers->place, __ATOMIC_ACQUIRE);

	return place ? place : numbers->lid;
}

static inline unsigned datagram_numbers_turns(const struct datagram_numbers *numbers)
{
	return __atomic_load_n(&numbers->turns, __ATOMIC_ACQUIRE);
}

/* @numbers may be NULL. */
static inline uint32_t datagram_number_to_real(
        const struct datagram_numbers *numbers, uint32_t virtual_qpn)
{
	const struct datagram_tables *tables = datagram_tables_of(numbers);

	return tables ? number_table_translate(&tables->to_real, virtual_qpn) : virtual_qpn;
}

static inline uint32_t datagram_number_to_virtual(
        const struct datagram_numbers *numbers, uint32_t real_qpn)
{
	const struct datagram_tables *tables = datagram_tables_of(numbers);

	return tables ? number_table_translate(&tables->to_virtual, real_qpn) : real_qpn;
}

/* What @virtual_qpn means there; NULL: itself, at the same address. */
static inline const struct number_entry *datagram_destination(
        const struct datagram_numbers *numbers, uint32_t virtual_qpn)
{
	const struct datagram_tables *tables = datagram_tables_of(numbers);

	return tables ? number_table_find(&tables->to_real, virtual_qpn) : NULL;
}

static inline const struct number_entry *datagram_sender(
        const struct datagram_numbers *numbers, uint32_t real_qpn)
{
	const struct datagram_tables *tables = datagram_tables_of(numbers);

	return tables ? number_table_find(&tables->to_virtual, real_qpn) : NULL;
}

/* Somebody has taken numbers away from there, and of this one nothing is known. */
static inline bool datagram_number_is_unknown(
        const struct datagram_numbers *numbers, uint32_t virtual_qpn)
{
	const struct datagram_tables *tables = datagram_tables_of(numbers);

	return tables && tables->leads_away && !number_table_find(&tables->to_real, virtual_qpn);
}

static inline uint32_t datagram_entry_qpn(const struct number_entry *entry)
{
	return (uint32_t)entry->value;
}

static inline uint32_t datagram_entry_lid(const struct number_entry *entry)
{
	return (uint32_t)((uint64_t)entry->value >> 32);
}

/*
 * The service thread. _take: from now on what @rows say of the queue pairs at that address which
 * are connected to nobody, and nothing else; -ENOMEM, -EBADMSG: as it was. Datagrams that came
 * before have to be harvested: they are of senders that had their earlier numbers.
 */
int datagram_numbers_take(
        struct datagram_numbers *numbers, const Tether__QpRows *rows, const Tether__GidRows *gids);
/* The device there is another one, whether or not it has another GID. */
void datagram_numbers_turn(struct datagram_numbers *numbers);
/* Some have, since it was asked last. */
bool datagram_numbers_have_turned(void);
/* How often numbers have been taken. */
unsigned datagram_numbers_taken(void);
/* What one number means, until the next _take. -ENOMEM */
int datagram_numbers_learn(struct datagram_numbers *numbers, uint32_t virtual_qpn,
        uint32_t real_lid, uint32_t real_qpn);
/* Nobody says any more what they mean. Any thread. */
void datagram_numbers_forget(struct datagram_numbers *numbers);
/* The service thread. Frees what was replaced; control verbs kept out. Enters each gate in which it
 * may be read. */
void datagram_numbers_reclaim(void);

/* In a child after fork. */
void datagram_numbers_in_child(void);
void datagram_records_in_child(void);

#endif
