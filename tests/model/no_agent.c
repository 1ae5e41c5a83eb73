/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The link to the agent of a world. Its root knows who is there; who connects to a VM that has
 * moved hears at once by which numbers it goes now, since all of them are in this process.
 */
#include "preload/agent_link.h"
#include "preload/datagram_questions.h"
#include "preload/objects.h"
#include "preload/steps.h"

void agent_link_start(void)
{
}

void agent_link_forget_parent(void)
{
}

static void learn_keys(const struct context *context, struct remote *remote)
{
	const struct memory_region *mr;

	TAILQ_FOREACH(mr, &context->mrs, link)
	{
		if (!mr->real)
			continue;
		remote->keys = remote_keys_of(remote->lid, context->number);
		remote_keys_set(remote->keys, mr->shown.rkey, mr->real->rkey, false);
	}
}

void agent_link_register(struct remote *remote)
{
	const struct context *context;
	const struct queue_pair *qp;

	TAILQ_FOREACH(context, &contexts, link)
	{
		if (!context->moved || context->ports[0].attr.lid != remote->lid)
			continue;
		TAILQ_FOREACH(qp, &context->qps, link)
		{
			if (queue_pair_number(qp) != remote->qpn || !qp->real)
				continue;
			remote->real_qpn = qp->real->qp_num;
			learn_keys(context, remote);
		}
	}
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

void agent_link_await_sender(const struct remote *sender, uint64_t since_ms)
{
}

void agent_link_forget(const struct remote *remote)
{
}

void agent_link_took_numbers(uint32_t lid, const union ibv_gid *gid)
{
}

void agent_link_sender_has_left(uint32_t lid, const union ibv_gid *gid)
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

int agent_link_await_announced(uint32_t context)
{
	return 0;
}

void agent_link_part(const struct pair_names *names)
{
}

void agent_link_withdraw(const struct announcement *what)
{
}
