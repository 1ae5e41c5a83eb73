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
	if (lid < FIRST_MULTICAST_LID)
		set(known_senders, lid);
}

/* Where there are no LIDs (RoCE) no sender is known by one. */
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

/* The mark is taken back before the search, so that what comes during it is searched for again. */
uint32_t heard_senders_next(void)
{
	if (!__atomic_exchange_n(&some_are_new, false, __ATOMIC_ACQ_REL))
		return 0;
	for (uint32_t i = 0; i < WORDS; i++) {
		uint64_t left = __atomic_load_n(&heard[i], __ATOMIC_ACQUIRE) & ~given[i];

		if (!left)
			continue;
		given[i] |= left & -left;
		__atomic_store_n(&some_are_new, true, __ATOMIC_RELEASE);
		return i * 64 + (uint32_t)__builtin_ctzll(left);
	}
	return 0;
}

void heard_senders_in_child(void)
{
	memset(known_senders, 0, sizeof(known_senders));
	memset(heard, 0, sizeof(heard));
	memset(given, 0, sizeof(given));
	some_are_new = false;
}
