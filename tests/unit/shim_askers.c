/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_askers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sched.h>

#include "preload/agent_link.h"
#include "preload/datagram_numbers.h"
#include "tests/unit/shim_played_agent.h"

static void *asker_run(void *at)
{
	struct asker *a = at;

	if (a->is_handle)
		agent_link_register_datagrams(&a->remote);
	else
		agent_link_register(&a->remote);
	a->done = true;
	return NULL;
}

void asker_begin(struct asker *a)
{
	if (!a->remote.qpn)
		a->remote = (struct remote){.lid = LID, .qpn = QPN, .real_qpn = QPN};
	assert_int_equal(pthread_create(&a->thread, NULL, asker_run, a), 0);
}

bool asker_is_waiting(const struct asker *a)
{
	unsigned before = looks_at_clock();

	while (!a->done && looks_at_clock() - before < 3)
		sched_yield();
	return !a->done;
}

void asker_end(struct asker *a)
{
	pthread_join(a->thread, NULL);
	agent_link_forget(&a->remote);
	if (agent_is_played())
		frame_free(agent_reads()); /* the drop */
}

static struct remote datagrams_at(uint16_t lid)
{
	return (struct remote){.lid = lid, .real_lid = lid};
}

void handle_is_made(uint16_t lid)
{
	struct remote remote = datagrams_at(lid);

	agent_link_register_datagrams(&remote);
}

void handle_is_gone(uint16_t lid)
{
	struct remote remote = datagrams_at(lid);

	agent_link_forget(&remote);
}

void first_handle(uint16_t lid, uint32_t real)
{
	struct asker a = {.remote = {.lid = lid, .qpn = 0}, .is_handle = true};

	assert_int_equal(pthread_create(&a.thread, NULL, asker_run, &a), 0);
	agent_answers_datagrams(agent_is_asked_for_datagrams(lid), lid, real);
	pthread_join(a.thread, NULL);
	assert_int_equal(datagram_number_to_real(datagram_numbers_at(lid), QPN), real);
}
