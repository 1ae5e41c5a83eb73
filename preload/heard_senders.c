/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/heard_senders.h"

#include <string.h>

#include "preload/agent_link.h"

enum { WORDS = FIRST_MULTICAST_LID / 64 };

uint64_t known_senders[WORDS];

static uint64_t heard[WORDS];
static uint64_t given[WORDS]; /* the service thread's */
static bool some_are_new;

static bool set(uint64_t *bits, uint32_t lid)
{
	uint64_t bit = 1ULL << lid % 64;

	return __atomic_fetch_or(&bits[lid / 64], bit, __ATOMIC_RELEASE) & bit;
}

void sender_set_known(uint32_t lid)
{
	struct datagram_numbers *numbers;

	if (lid < FIRST_MULTICAST_LID) {
		set(known_senders, lid);
		return;
	}
	numbers = datagram_numbers_named(lid);
	if (numbers)
		__atomic_store_n(&numbers->is_known, true, __ATOMIC_RELEASE);
}

bool sender_introduce(uint32_t lid)
{
	if (!lid || !agent_link_is_there()) {
		set(known_senders, lid);
		return true;
	}
	if (!set(heard, lid)) {
		__atomic_store_n(&some_are_new, true, __ATOMIC_RELEASE);
		agent_link_wake();
	}
	return false;
}

/* ---- by name ---- */

static struct datagram_numbers *heard_named; /* that nobody has taken */
static struct datagram_numbers *taken;       /* of them; the service thread's */

static void add_heard(struct datagram_numbers *numbers)
{
	numbers->next_heard = __atomic_load_n(&heard_named, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&heard_named, &numbers->next_heard, numbers, false,
	        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	__atomic_store_n(&some_are_new, true, __ATOMIC_RELEASE);
	agent_link_wake();
}

bool named_sender_is_known(uint32_t name)
{
	struct datagram_numbers *numbers = datagram_numbers_named(name);

	if (!numbers || __atomic_load_n(&numbers->is_known, __ATOMIC_ACQUIRE))
		return true;
	if (!agent_link_is_there())
		return true;
	if (!__atomic_exchange_n(&numbers->is_heard, true, __ATOMIC_ACQ_REL))
		add_heard(numbers);
	return false;
}

/* From then on it may be in the list again. */
static bool next_named(struct remote *sender)
{
	struct datagram_numbers *next;

	if (!taken)
		taken = __atomic_exchange_n(&heard_named, NULL, __ATOMIC_ACQUIRE);
	next = taken;
	if (!next)
		return false;
	*sender = (struct remote){
	        .lid = next->lid, .gid = next->gid, .real_lid = next->lid, .real_gid = next->gid};
	taken = next->next_heard;
	__atomic_store_n(&next->is_heard, false, __ATOMIC_RELEASE);
	return true;
}

/* ---- what is asked ---- */

static uint32_t next_lid(void)
{
	for (uint32_t i = 0; i < WORDS; i++) {
		uint64_t left = __atomic_load_n(&heard[i], __ATOMIC_ACQUIRE) & ~given[i];

		if (!left)
			continue;
		given[i] |= left & -left;
		return i * 64 + (uint32_t)__builtin_ctzll(left);
	}
	return 0;
}

/* The mark is taken back before the search, so that what comes during it is searched for again. */
bool heard_senders_next(struct remote *sender)
{
	uint32_t lid;

	if (!__atomic_exchange_n(&some_are_new, false, __ATOMIC_ACQ_REL))
		return false;
	lid = next_lid();
	if (lid)
		*sender = (struct remote){.lid = lid, .real_lid = lid};
	else if (!next_named(sender))
		return false;
	__atomic_store_n(&some_are_new, true, __ATOMIC_RELEASE);
	return true;
}

void sender_set_unknown(struct datagram_numbers *numbers)
{
	__atomic_store_n(&numbers->is_known, false, __ATOMIC_RELEASE);
}

static void forget_named(struct datagram_numbers *numbers, void *unused)
{
	numbers->is_known = numbers->is_heard = false;
}

void heard_senders_in_child(void)
{
	memset(known_senders, 0, sizeof(known_senders));
	memset(heard, 0, sizeof(heard));
	memset(given, 0, sizeof(given));
	datagram_numbers_each_named(forget_named, NULL);
	heard_named = taken = NULL;
	some_are_new = false;
}
