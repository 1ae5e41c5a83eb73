/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/agent_link.h"

#include <errno.h>
#include <time.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/agent_link_state.h"
#include "preload/heard_senders.h"
#include "preload/interests.h"
#include "preload/partings.h"
#include "preload/settings.h"
#include "preload/uncancelled.h"

enum {
	ABSENT_MS = 1000, /* a connection is made all the same when the agent is away for so long */
	LONG_WAIT_MS = 50, /* a receive queue may have run over meanwhile */
};

struct agent_link agent_link = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void changed_init(void)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&agent_link.changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static struct timespec at_ms(uint64_t at)
{
	return (struct timespec){(time_t)(at / 1000), (long)(at % 1000) * 1000000};
}

static struct timespec after_ms(unsigned ms)
{
	return at_ms(monotonic_ms() + ms);
}

static void start(void)
{
	changed_init();
	agent_link.absent_since_ms = monotonic_ms();
	if (agent_service_start())
		log_error("link", "no service thread: this process cannot move");
	else
		agent_link.started = true;
}

void agent_link_start(void)
{
	struct timespec until = after_ms(ABSENT_MS);
	int err = 0;

	if (!settings()->agent_path)
		return;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	if (!agent_link.started)
		start();
	while (agent_link.started && !agent_link.heard && !err)
		err = pthread_cond_timedwait(&agent_link.changed, &agent_link.lock, &until);
}

void agent_link_forget_parent(void)
{
	pthread_mutex_init(&agent_link.lock, NULL);
	agent_link.started = agent_link.heard = agent_link.is_silent = false;
	interests_forget();
	partings_forget();
	agent_service_forget();
}

bool agent_link_is_there(void)
{
	return agent_link.started;
}

void agent_link_wake(void)
{
	if (agent_link.started)
		agent_service_wake();
}

/* Whose numbers are here for the sake of address handles is known without the service thread. True:
 * somebody has waited. */
static bool await_sender(const struct remote *sender, uint64_t since_ms)
{
	struct timespec until = at_ms(since_ms + ABSENT_MS);
	bool waited = false;
	int err = 0;

	LOCK_GUARD(&agent_link.lock);
	if (agent_link.started)
		interests_hear(sender);
	while (agent_link.started && !agent_link.absent_since_ms && !agent_link.is_silent && !err &&
	        !sender_is_known(sender->lid)) {
		waited = true;
		err = pthread_cond_timedwait(&agent_link.changed, &agent_link.lock, &until);
	}
	agent_link.is_silent |= err && agent_link.said_ms < since_ms;
	sender_set_known(sender->lid);
	return waited;
}

void agent_link_await_sender(const struct remote *sender, uint64_t since_ms)
{
	uint64_t waited_ms;

	UNCANCELLED();
	if (!await_sender(sender, since_ms))
		return;
	waited_ms = monotonic_ms() - since_ms;
	if (waited_ms > LONG_WAIT_MS)
		log_warn("link",
		        "the first datagram from lid %u was held back for %llu ms: receive queues "
		        "may have run over",
		        sender->lid, (unsigned long long)waited_ms);
}

/* To the end of a migration that the agent has named; for an agent that has not as long as one may
 * take by default; without an agent only a moment. */
static bool wait_a_little(bool is_held, uint64_t *since_ms)
{
	/* Once: who is stopped between two looks has not waited for so long. */
	uint64_t now = monotonic_ms(), until;
	struct timespec at;

	if (is_held)
		*since_ms = now;
	until = *since_ms + deadlines_default.overall_ms;
	if (agent_link.absent_since_ms) {
		uint64_t from = agent_link.absent_since_ms > *since_ms ? agent_link.absent_since_ms
		                                                       : *since_ms;

		until = from + ABSENT_MS;
	}
	if (now >= until)
		return false;
	at = after_ms(20);
	pthread_cond_timedwait(&agent_link.changed, &agent_link.lock, &at);
	return true;
}

/* Under the lock. */
static void await_answer(const struct interest_request *request)
{
	uint64_t since = monotonic_ms();
	bool waits = true, was_held = false;

	agent_service_wake();
	while (!request->answered && waits) {
		waits = wait_a_little(request->held, &since);
		if (request->held && !was_held)
			log_debug("link", "interest in lid %u is held by a migration",
			        request->remote.lid);
		was_held = request->held;
	}
}

void agent_link_register(struct remote *remote)
{
	struct interest_request request;

	if (!agent_link.started)
		return;
	UNCANCELLED();
	log_debug("link", "interest in lid %u, qp 0x%x", remote->lid, remote->qpn);
	LOCK_GUARD(&agent_link.lock);
	interests_ask(&request, remote);
	await_answer(&request);
	if (request.answered)
		log_debug("link", "interest in lid %u is %s", remote->lid,
		        request.refused ? "refused" : "acknowledged");
	else
		log_warn("link", "no agent has acknowledged interest in lid %u", remote->lid);
	interests_done(&request, remote);
}

void agent_link_register_datagrams(struct remote *remote)
{
	struct interest_request request;

	if (!agent_link.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	if (!interests_ask_datagrams(&request, remote))
		return;
	await_answer(&request);
	if (!request.answered)
		log_warn("link", "no agent has acknowledged interest in lid %u", remote->lid);
	interests_done(&request, remote);
}

void agent_link_forget(const struct remote *remote)
{
	if (!agent_link.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	if (interests_drop(remote))
		agent_service_wake();
}

void agent_link_took_numbers(uint32_t lid, const union ibv_gid *gid)
{
	struct remote at = {.lid = lid, .gid = *gid};

	if (!agent_link.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	interests_took_numbers(&at);
}

void agent_link_sender_has_left(uint32_t lid, const union ibv_gid *gid)
{
	struct remote at = {.lid = lid, .gid = *gid};

	if (!agent_link.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	if (interests_unhear(&at))
		agent_service_wake();
}

int agent_link_announce(const struct announcement *what)
{
	struct interest_request request;
	struct remote unused;

	if (!agent_link.started)
		return 0;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	if (interests_announce(&request, what))
		return -ENOMEM;
	await_answer(&request);
	if (!request.answered)
		log_warn("link", "no agent has heard of qp 0x%x", what->qpn);
	interests_done(&request, &unused);
	return request.refused ? -ENOMEM : 0;
}

int agent_link_announce_unasked(const struct announcement *what)
{
	if (!agent_link.started)
		return 0;
	LOCK_GUARD(&agent_link.lock);
	return announcements_add(what, true);
}

int agent_link_await_announced(uint32_t context)
{
	uint64_t since;
	bool waits = true;
	int outcome;

	if (!agent_link.started)
		return 0;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	since = monotonic_ms();
	agent_service_wake();
	outcome = announcements_outcome(context);
	while (outcome > 0 && waits) {
		waits = wait_a_little(outcome == ANNOUNCEMENT_IS_HELD, &since);
		outcome = announcements_outcome(context);
	}
	if (outcome > 0)
		log_warn("link", "no agent has acknowledged what is said of a context");
	return outcome < 0 ? -outcome : 0;
}

void agent_link_part(const struct pair_names *names)
{
	if (!agent_link.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	partings_add(names);
	agent_service_wake();
}

void agent_link_withdraw(const struct announcement *what)
{
	if (!agent_link.started)
		return;
	UNCANCELLED();
	LOCK_GUARD(&agent_link.lock);
	if (announcements_withdraw(what))
		agent_service_wake();
}
