/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The library's link to an agent that is not there: what it would be told is counted. */
#include "tests/unit/shim_harness.h"

#include "preload/agent_link.h"
#include "preload/heard_senders.h"
#include "preload/move.h"
#include "preload/steps.h"

/* Steps are called directly. */
void agent_link_start(void)
{
}

void agent_link_forget_parent(void)
{
	steps_forget();
}

int harness_interest, harness_handles;
void (*harness_registering)(struct remote *remote);

void agent_link_register(struct remote *remote)
{
	harness_interest++;
	if (harness_registering)
		harness_registering(remote);
}

void agent_link_register_datagrams(struct remote *remote)
{
	__atomic_fetch_add(&harness_handles, 1, __ATOMIC_RELAXED);
	if (harness_registering)
		harness_registering(remote);
}

bool agent_link_is_there(void)
{
	return harness_stranger != NULL;
}

void agent_link_wake(void)
{
}

void (*harness_stranger)(uint32_t lid);

void agent_link_await_sender(const struct remote *sender, uint64_t since_ms)
{
	harness_stranger(sender->lid);
	sender_set_known(sender->lid);
}

void agent_link_forget(const struct remote *remote)
{
	__atomic_fetch_sub(&harness_interest, remote->qpn != 0, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&harness_handles, !remote->qpn && remote->lid, __ATOMIC_RELAXED);
}

int harness_announced, harness_contexts, harness_announce_error;
int harness_live_at_withdrawal;

void agent_link_took_numbers(uint32_t lid, const union ibv_gid *gid)
{
}

void agent_link_sender_has_left(uint32_t lid, const union ibv_gid *gid)
{
}

int agent_link_announce(const struct announcement *what)
{
	harness_announced++;
	return harness_announce_error;
}

int agent_link_announce_unasked(const struct announcement *what)
{
	harness_contexts += !what->qpn;
	return 0;
}

int (*harness_awaited)(uint32_t context);

int agent_link_await_announced(uint32_t context)
{
	return harness_awaited ? harness_awaited(context) : 0;
}

void agent_link_withdraw(const struct announcement *what)
{
	harness_live_at_withdrawal = fake.live_objects;
	if (what->qpn)
		harness_announced--;
	else
		harness_contexts--;
}

unsigned harness_partings;
struct pair_names harness_parting;

void agent_link_part(const struct pair_names *names)
{
	harness_partings++;
	harness_parting = *names;
}
