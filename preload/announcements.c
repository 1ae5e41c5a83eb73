/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/announcements.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "notifier/base/log.h"
#include "notifier/wire/gid_name.h"

struct announced {
	struct announcement own;
	bool unsent;      /* nobody has asked it yet */
	bool withdrawn;   /* the agent is to hear it */
	uint32_t request; /* that has brought it up; 0: an asked one, or none yet */
	int outcome;      /* of it */
	TAILQ_ENTRY(announced) link;
};

static TAILQ_HEAD(, announced) announcements = TAILQ_HEAD_INITIALIZER(announcements);

int announcements_add(const struct announcement *what, bool unsent)
{
	struct announced *announced = calloc(1, sizeof(*announced));

	if (!announced)
		return -ENOMEM;
	announced->own = *what;
	announced->unsent = unsent;
	announced->outcome = unsent ? ANNOUNCEMENT_WAITS : 0;
	TAILQ_INSERT_TAIL(&announcements, announced, link);
	return 0;
}

static bool is_of(const struct announcement *a, const struct announcement *b)
{
	return a->qpn == b->qpn && a->context == b->context && a->lid == b->lid;
}

bool announcements_withdraw(const struct announcement *what)
{
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (is_of(&announced->own, what) && !announced->withdrawn)
			return announced->withdrawn = true;
	}
	return false;
}

void announcement_address(const struct announcement *own, Tether__Address *address)
{
	tether__address__init(address);
	address->lid = own->lid;
	if (is_gid_name(own->lid)) {
		address->gid.data = (uint8_t *)&own->gid;
		address->gid.len = sizeof(own->gid);
	}
	address->qpn = own->qpn;
	address->context = own->context;
}

static bool next_withdrawn(Tether__Address *address)
{
	static struct announcement withdrawn;
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (!announced->withdrawn)
			continue;
		withdrawn = announced->own;
		announcement_address(&withdrawn, address);
		TAILQ_REMOVE(&announcements, announced, link);
		free(announced);
		return true;
	}
	return false;
}

static bool next_unsent(uint32_t request, Tether__Address *address)
{
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (!announced->unsent)
			continue;
		announced->unsent = false;
		announced->request = request;
		announcement_address(&announced->own, address);
		return true;
	}
	return false;
}

bool announcements_next(uint32_t request, Tether__Address *address, bool *withdrawn)
{
	*withdrawn = next_withdrawn(address);
	return *withdrawn || next_unsent(request, address);
}

bool announcements_answered(uint32_t request, int outcome)
{
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (announced->request != request)
			continue;
		announced->outcome = outcome;
		if (outcome < 0)
			log_warn(
			        "link", "announcement of a context is refused: error %d", -outcome);
		return true;
	}
	return false;
}

void announcements_link_lost(void)
{
	struct announced *announced;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (announced->outcome <= 0)
			continue;
		announced->unsent = true;
		announced->request = 0;
		announced->outcome = ANNOUNCEMENT_WAITS;
	}
}

int announcements_outcome(uint32_t context)
{
	struct announced *announced;
	int worst = 0;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (announced->own.context != context || announced->own.qpn || announced->withdrawn)
			continue;
		if (announced->outcome < 0)
			return announced->outcome;
		if (announced->outcome > worst)
			worst = announced->outcome;
	}
	return worst;
}

size_t announcements_count(void)
{
	struct announced *announced;
	size_t count = 0;

	TAILQ_FOREACH(announced, &announcements, link)
	count++;
	return count;
}

size_t announcements_addresses(Tether__Address *addresses)
{
	struct announced *announced;
	size_t count = 0;

	TAILQ_FOREACH(announced, &announcements, link)
	{
		if (!announced->withdrawn)
			announcement_address(&announced->own, &addresses[count++]);
	}
	return count;
}

void announcements_forget(void)
{
	TAILQ_INIT(&announcements);
}
