/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/heard_senders.h"

#include <stdbool.h>
#include <string.h>

#include "preload/agent_link.h"

enum { WORDS = FIRST_MULTICAST_LID / 64 };

uint64_t heard_senders[WORDS];

static uint64_t given[WORDS]; /* the service thread's */
static bool some_are_new;

/* Where there is no LID (RoCE), and no sender is known by one, the bit of 0 keeps the way short. */
void heard_senders_add(uint32_t lid)
{
	__atomic_fetch_or(&heard_senders[lid / 64], 1ULL << lid % 64, __ATOMIC_RELAXED);
	if (!lid)
		return;
	__atomic_store_n(&some_are_new, true, __ATOMIC_RELEASE);
	agent_link_wake();
}

/* The mark is taken back before the search, so that what comes during it is searched for again. */
uint32_t heard_senders_next(void)
{
	if (!__atomic_exchange_n(&some_are_new, false, __ATOMIC_ACQ_REL))
		return 0;
	for (uint32_t i = 0; i < WORDS; i++) {
		uint64_t left = __atomic_load_n(&heard_senders[i], __ATOMIC_RELAXED) & ~given[i];

		if (!i)
			left &= ~1ULL;
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
	memset(heard_senders, 0, sizeof(heard_senders));
	memset(given, 0, sizeof(given));
	some_are_new = false;
}
