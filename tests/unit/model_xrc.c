/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Programs with XRC: what is drawn, what the reference takes of them, and how they are made small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/shrink.h"
#include "tests/unit/model_traces.h"

enum {
	SEEDS = 100,
	FIRST = ENDS_MOST + PROCESSES + PROCESS_P * XRC_SRQS, /* P's XRC SRQs */
	SECOND,
};

static const struct work to_first = {
        .opcode = IBV_WR_SEND, .flags = SIGNALED, .sges = 1, .length = 30};
static const struct work to_second = {.opcode = IBV_WR_SEND,
        .flags = SIGNALED,
        .sges = 1,
        .length = 40,
        .operand = UINT64_C(1) << 63};

/* A and B send the same two messages to P. */
static struct run begin(bool apart)
{
	struct run run = {.program = program_new()};

	run.program->world.apart = apart;
	run.program->link_count = 2;
	for (unsigned i = 0; i < 2; i++) {
		run.program->links[i] = (struct program_link){
		        .process = {(uint8_t)i, PROCESS_P},
		        .mtu = IBV_MTU_256,
		        .depth = 16,
		        .reads = 4,
		        .rnr_retry = 7,
		        .xrc = true,
		};
		program_add_work(run.program, &to_first);
		program_add_work(run.program, &to_second);
		program_add(run.program, (struct action){.kind = ACTION_POST,
		                                 .of = (uint8_t)(2 * i),
		                                 .count = 2,
		                                 .first = 2 * i});
	}
	assert_true(program_is_sound(run.program));
	run.reference = reference_new(run.program);
	for (unsigned i = 0; i < 2; i++) {
		tell(&run, (struct event){.kind = EVENT_CONNECTED, .of = i});
		tell(&run, (struct event){.kind = EVENT_SENT, .of = 2 * i});
		tell(&run, (struct event){.kind = EVENT_SENT, .of = 2 * i});
	}
	return run;
}

static void posts_receives(struct run *run, unsigned queue, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		tell(run, (struct event){.kind = EVENT_RECEIVE, .queue = queue, .number = i});
}

/* Work @work of the sender of @target takes RECV @receive of @queue. */
static void comes(struct run *run, unsigned target, unsigned queue, uint32_t receive, uint32_t work)
{
	struct event event = {
	        .kind = EVENT_COMPLETED,
	        .of = target,
	        .wc = {.wr_id = wr_id_of_receive(queue, receive),
	                .opcode = IBV_WC_RECV,
	                .byte_len = work ? to_second.length : to_first.length},
	        .data = run->bytes,
	};

	pattern_fill(run->bytes, sizeof(run->bytes), end_other(target), work);
	tell(run, event);
}

static void is_sent(struct run *run, unsigned end)
{
	for (uint32_t i = 0; i < 2; i++)
		tell(run, (struct event){.kind = EVENT_COMPLETED,
		                  .of = end,
		                  .wc = {.wr_id = wr_id_of_send(end, i), .opcode = IBV_WC_SEND}});
}

/* NULL: nothing is wrong. */
static void is_judged(struct run *run, const char *wanted)
{
	const char *said;

	reference_judge(run->reference);
	said = reference_said(run->reference, 0);
	if (!said)
		assert_null(wanted);
	else if (!wanted || !strstr(said, wanted))
		fail_msg("said \"%s\"", said);
	run_over(run);
}

/* ---- the reference ---- */

static void several_senders_take_from_one_queue(void **state)
{
	struct run run = begin(false);

	posts_receives(&run, FIRST, 2);
	posts_receives(&run, SECOND, 2);
	comes(&run, 3, FIRST, 0, 0);
	comes(&run, 1, FIRST, 1, 0);
	comes(&run, 1, SECOND, 0, 1);
	comes(&run, 3, SECOND, 1, 1);
	is_sent(&run, 0);
	is_sent(&run, 2);
	is_judged(&run, NULL);
}

static void order_is_that_of_a_completion_queue(void **state)
{
	for (unsigned apart = 0; apart < 2; apart++) {
		struct run run = begin(apart);

		posts_receives(&run, FIRST, 2);
		posts_receives(&run, SECOND, 2);
		comes(&run, 1, SECOND, 0, 1);
		comes(&run, 1, FIRST, 0, 0);
		comes(&run, 3, FIRST, 1, 0);
		comes(&run, 3, SECOND, 1, 1);
		is_sent(&run, 0);
		is_sent(&run, 2);
		is_judged(&run, apart ? NULL : "message 1 completes, and 0 is the next");
	}
}

static void a_message_comes_where_it_was_sent(void **state)
{
	struct run run = begin(true);

	posts_receives(&run, FIRST, 2);
	posts_receives(&run, SECOND, 2);
	comes(&run, 1, SECOND, 0, 0);
	is_judged(&run, "of 40 bytes comes as 128 with 30");

	run = begin(true);
	posts_receives(&run, FIRST, 2);
	comes(&run, 1, FIRST, 0, 0);
	comes(&run, 1, FIRST, 1, 1);
	is_judged(&run, "nothing more was sent");
}

static void a_message_needs_a_receive_of_its_queue(void **state)
{
	struct run run = begin(true);

	posts_receives(&run, FIRST, 4);
	comes(&run, 1, FIRST, 0, 0);
	is_sent(&run, 0);
	is_judged(&run, "work 1 is done without a RECV");
}

static void receives_are_missed_by_their_queue(void **state)
{
	struct run run = begin(true);

	assert_int_equal(reference_missing_receives(run.reference, FIRST), 2);
	posts_receives(&run, FIRST, 1);
	assert_int_equal(reference_missing_receives(run.reference, FIRST), 1);
	comes(&run, 3, FIRST, 0, 0);
	assert_int_equal(reference_missing_receives(run.reference, FIRST), 1);
	assert_int_equal(reference_missing_receives(run.reference, SECOND), 2);
	run_over(&run);
}

/* ---- what is drawn ---- */

static unsigned xrc_links(const struct program *program)
{
	unsigned count = 0;

	for (unsigned i = 0; i < program->link_count; i++)
		count += program->links[i].xrc;
	return count;
}

static bool have_a_target_process(const struct program *program, unsigned a, unsigned b)
{
	return program->links[a].xrc && program->links[b].xrc &&
	       program->links[a].process[1] == program->links[b].process[1];
}

static void some_links_are_of_xrc(void **state)
{
	unsigned none = 0, some = 0, all = 0, together = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct program *program = program_make(seed);
		unsigned count = xrc_links(program);

		none += !count;
		some += count && count < program->link_count;
		all += count == program->link_count;
		for (unsigned i = 0; i < program->link_count * program->link_count; i++)
			together += i / program->link_count < i % program->link_count &&
			            have_a_target_process(program, i / program->link_count,
			                    i % program->link_count);
		program_free(program);
	}
	assert_true(none > SEEDS / 4 && some > SEEDS / 10 && all > SEEDS / 20);
	assert_true(together > SEEDS / 10);
}

/* ---- the shrinker ---- */

static bool posts_on_xrc(const struct program *program, void *argument)
{
	for (unsigned i = 0; i < program->action_count; i++) {
		const struct action *action = &program->actions[i];

		if (action->kind == ACTION_POST && program->links[action->of / 2].xrc)
			return true;
	}
	return false;
}

static bool posts_receive(const struct program *program, void *argument)
{
	return program_count(program, ACTION_RECEIVE);
}

static void xrc_stays_where_it_matters(void **state)
{
	unsigned found = 0;

	for (uint64_t seed = 0; seed < SEEDS && found < 5; seed++) {
		struct program *program = program_make(seed), *small, *plain;

		if (posts_on_xrc(program, NULL) && posts_receive(program, NULL)) {
			small = shrink(program, posts_on_xrc, NULL, 5000);
			assert_int_equal(xrc_links(small), 1);
			assert_int_equal(small->action_count, 1);
			plain = shrink(program, posts_receive, NULL, 5000);
			assert_int_equal(xrc_links(plain), 0);
			assert_int_equal(plain->action_count, 1);
			program_free(small);
			program_free(plain);
			found++;
		}
		program_free(program);
	}
	assert_int_equal(found, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(several_senders_take_from_one_queue),
	        cmocka_unit_test(order_is_that_of_a_completion_queue),
	        cmocka_unit_test(a_message_comes_where_it_was_sent),
	        cmocka_unit_test(a_message_needs_a_receive_of_its_queue),
	        cmocka_unit_test(receives_are_missed_by_their_queue),
	        cmocka_unit_test(some_links_are_of_xrc),
	        cmocka_unit_test(xrc_stays_where_it_matters),
	};

	return cmocka_run_group_tests_name("model_xrc", tests, NULL, NULL);
}
