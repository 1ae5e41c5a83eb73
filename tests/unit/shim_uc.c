/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* UC: both ends of a connection begin anew, and what was lost stays lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_letters.h"

static void both_ends_of_a_connection_go_on(void **state)
{
	struct harness *h = *state;
	struct end *ends[] = {&h->vm, &h->peer};

	letter_has_gone(h, ends[0], ends[1]);
	letter_has_gone(h, ends[1], ends[0]);
	for (int i = 0; i < 4; i++) {
		struct end *from = ends[i % 2], *to = ends[1 - i % 2];

		post_receive(to, 0);
		send_letter(from, (uint64_t)i, IBV_SEND_SIGNALED);
		harness_move(h);
		assert_int_equal(end_run(from, 9), 1);
		harness_expect_one(h, from, (uint64_t)i);
		expect_letter(h, to, 0, (uint64_t)i);
	}
}

static void a_write_reaches_the_region_as_it_is_called_now(void **state)
{
	struct harness *h = *state;

	harness_move(h);
	strcpy((char *)h->peer.memory, "text");
	assert_int_equal(end_rdma(&h->peer, &h->vm, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), 0);
	assert_int_equal(end_run(&h->peer, 1), 1);
	assert_string_equal((char *)h->vm.memory, "text");
}

/* Nobody has taken it: a lost message stays lost, and the connection goes on. */
static void what_was_lost_is_not_sent_again(void **state)
{
	struct harness *h = *state;

	send_letter(&h->peer, 0, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->peer, 1), 1);
	post_receive(&h->vm, 0);
	harness_move(h);
	harness_expect_one(h, &h->peer, 0);
	assert_int_equal(end_pending(&h->peer), 0);
	send_letter(&h->peer, 1, 0);
	end_run(&h->peer, 1);
	expect_letter(h, &h->vm, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        UC(both_ends_of_a_connection_go_on),
	        UC(a_write_reaches_the_region_as_it_is_called_now),
	        UC(what_was_lost_is_not_sent_again),
	};

	return HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
