/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a process and its agent tell each other of connections of rdma_cm that have ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/agent_link.h"
#include "preload/partings.h"
#include "tests/unit/shim_played_agent.h"

static const struct pair_names first = {1, 2, 3, 4}, second = {0x80000005, 6, 0x80000007, 8};

static void another_agent(uint32_t version)
{
	agent_hangs_up();
	agent_version = version;
	agent_welcomes();
}

static void each_is_said_in_turn(void **state)
{
	another_agent(PARTING_SINCE);
	agent_link_part(&first);
	agent_hears_parting(&first);
	agent_link_part(&second);
	agent_link_part(&first);
	agent_hears_parting(&second);
	agent_hears_parting(&first);
}

static void they_wait_for_an_agent(void **state)
{
	agent_hangs_up();
	agent_version = PARTING_SINCE;
	agent_hears_hello();
	agent_link_part(&first);
	agent_link_part(&second);
	agent_answers_hello(TETHER__OUTCOME__OUTCOME_DONE);
	agent_hears_parting(&first);
	agent_hears_parting(&second);
}

static void an_older_agent_is_not_told(void **state)
{
	another_agent(PARTING_SINCE - 1);
	agent_link_part(&first);
	first_handle(DATAGRAM_LID, REAL_QPN); /* the next that it hears */
}

static void what_the_agent_tells_is_heard(void **state)
{
	struct pair_names last;
	unsigned before = partings_heard(&last);

	another_agent(PARTING_SINCE);
	agent_tells_parting(&second);
	agent_is_heard();
	assert_int_equal(partings_heard(&last), before + 1);
	assert_memory_equal(&last, &second, sizeof(last));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_is_said_in_turn),
	        cmocka_unit_test(they_wait_for_an_agent),
	        cmocka_unit_test(an_older_agent_is_not_told),
	        cmocka_unit_test(what_the_agent_tells_is_heard),
	};

	return cmocka_run_group_tests(tests, agent_setup, agent_teardown);
}
