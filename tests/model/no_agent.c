/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The link to the agent of a world, which hears no registrations: its root knows who is there. */
#include "preload/agent_link.h"
#include "preload/datagram_questions.h"
#include "preload/steps.h"

void agent_link_start(void)
{
}

void agent_link_forget_parent(void)
{
}

void agent_link_register(struct remote *remote)
{
}

void agent_link_register_datagrams(struct remote *remote)
{
}

bool agent_link_is_there(void)
{
	return false;
}

void agent_link_wake(void)
{
}

void agent_link_await_sender(uint32_t lid, uint64_t since_ms)
{
}

void agent_link_forget(const struct remote *remote)
{
}

void agent_link_took_numbers(uint32_t lid, const union ibv_gid *gid)
{
}

int agent_link_announce(const struct announcement *what)
{
	return 0;
}

int agent_link_announce_unasked(const struct announcement *what)
{
	return 0;
}

void agent_link_withdraw(const struct announcement *what)
{
}
