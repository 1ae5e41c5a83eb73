/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Each state of a work request, brought about by a rule and seen from the engines of both ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "simfabric/work_state.h"
#include "unit/hca_pair_checks.h"

enum {
	MTU = 1024,
	LONG = 5 * MTU - 7,
	LOOK_NS = 3 * (4096 << 14), /* some retries later, and before the last of them */
};

static const enum ibv_wr_opcode messages[] = {
        IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM};
enum { MESSAGES = sizeof(messages) / sizeof(messages[0]) };

struct scene {
	struct pair *pair;
	struct qp_faults faults;
};

static void open_scene(struct scene *scene, const char *rule)
{
	char setting[64];

	memset(scene, 0, sizeof(*scene));
	scene->pair = pair_open(&pair_default);
	scene->pair->faults = &scene->faults;
	snprintf(setting, sizeof(setting), "%u/0x100:%s", pair_lid(0), rule);
	assert_int_equal(qp_faults_set(&scene->faults, setting), 0);
	pair_fill(scene->pair, 0, LOCAL, LONG, 3);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(pair_post_receive(scene->pair, 1, REMOTE, LONG, 50 + i), 0);
}

static struct work_found look(const struct scene *scene, uint32_t position)
{
	struct work_ends ends = {.requester = &scene->pair->end[0].qp,
	        .responder = &scene->pair->end[1].qp,
	        .now_ns = scene->pair->now_ns};

	return work_state_of(&ends, position);
}

static void assert_state(const struct scene *scene, uint32_t position, enum work_state state)
{
	assert_string_equal(work_state_name(look(scene, position).state), work_state_name(state));
}

static bool takes_receive(enum ibv_wr_opcode opcode)
{
	return opcode != IBV_WR_RDMA_WRITE && opcode != IBV_WR_RDMA_READ;
}

/* The rule is taken away, and all that was asked is done once. */
static void close_scene(struct scene *scene, enum ibv_wr_opcode opcode, uint32_t length)
{
	char setting[64];

	snprintf(setting, sizeof(setting), "%u/0x100:pass", pair_lid(0));
	assert_int_equal(qp_faults_set(&scene->faults, setting), 0);
	pair_look_anew(scene->pair);
	assert_true(pair_settle(scene->pair));
	for (uint64_t i = 0; i < 2; i++) {
		assert_state(scene, (uint32_t)i, WORK_DONE);
		pair_assert_sent(scene->pair, 0, i, IBV_WC_SUCCESS);
		if (takes_receive(opcode))
			pair_assert_received(scene->pair, 1, 50 + i, length);
	}
	pair_assert_nothing_more(scene->pair);
	pair_assert_same(scene->pair, LOCAL, REMOTE, length);
	pair_close(scene->pair);
}

static void run(struct scene *scene)
{
	while (scene->pair->now_ns < LOOK_NS && pair_step(scene->pair))
		;
}

static void post_two(struct scene *scene, enum ibv_wr_opcode opcode, uint32_t length)
{
	for (uint64_t i = 0; i < 2; i++)
		pair_post_work(scene->pair, opcode, length, i);
	run(scene);
}

static void not_sent(void **state)
{
	for (int i = 0; i < MESSAGES; i++) {
		struct scene scene;

		open_scene(&scene, "hold=1");
		post_two(&scene, messages[i], LONG);
		assert_state(&scene, 0, WORK_DONE);
		assert_state(&scene, 1, WORK_NOT_SENT);
		assert_int_equal(scene.pair->end[0].qp.requester.new_psn,
		        scene.pair->end[1].qp.responder.expected_psn);
		close_scene(&scene, messages[i], LONG);
	}
}

static void sent_and_lost_is_not_sent(void **state)
{
	struct scene scene;

	open_scene(&scene, "lose=0");
	post_two(&scene, IBV_WR_SEND, LONG);
	assert_state(&scene, 0, WORK_NOT_SENT);
	assert_state(&scene, 1, WORK_NOT_SENT);
	close_scene(&scene, IBV_WR_SEND, LONG);
}

static void partly_delivered(void **state)
{
	static const char *const rules[] = {"hold=1.%u", "lose=1.%u"};

	for (int i = 0; i < 2 * MESSAGES; i++) {
		for (uint32_t packets = 1; packets < 5; packets++) {
			struct scene scene;
			char rule[32];

			snprintf(rule, sizeof(rule), i % 2 ? rules[1] : rules[0], packets);
			open_scene(&scene, rule);
			post_two(&scene, messages[i / 2], LONG);
			assert_state(&scene, 0, WORK_DONE);
			assert_state(&scene, 1, WORK_PARTLY_DELIVERED);
			assert_int_equal(look(&scene, 1).accepted, packets);
			close_scene(&scene, messages[i / 2], LONG);
		}
	}
}

static void executed_and_unacknowledged(void **state)
{
	for (int i = 0; i < MESSAGES; i++) {
		struct scene scene;

		open_scene(&scene, "lose_acks=0");
		post_two(&scene, messages[i], LONG);
		assert_state(&scene, 0, WORK_EXECUTED);
		assert_state(&scene, 1, WORK_EXECUTED);
		assert_false(look(&scene, 1).receive_is_hidden);
		close_scene(&scene, messages[i], LONG);
	}
}

static void acknowledged_and_the_receive_hidden(void **state)
{
	for (int i = 0; i < MESSAGES; i++) {
		struct scene scene;
		struct ibv_wc wc;

		if (!takes_receive(messages[i]))
			continue;
		open_scene(&scene, "hold_receives=1");
		post_two(&scene, messages[i], LONG);
		assert_state(&scene, 0, WORK_DONE);
		assert_state(&scene, 1, WORK_RECEIVE_HIDDEN);
		pair_assert_received(scene.pair, 1, 50, LONG);
		assert_false(pair_poll_receive(scene.pair, 1, &wc));
		/* Put back what was polled, so that both are there at the end. */
		scene.pair->end[1].receive_completions.head--;
		close_scene(&scene, messages[i], LONG);
	}
}

static void what_completes_behind_a_hidden_receive_is_hidden_too(void **state)
{
	struct scene scene;

	open_scene(&scene, "hold_receives=0:1");
	post_two(&scene, IBV_WR_SEND, LONG);
	assert_state(&scene, 0, WORK_RECEIVE_HIDDEN);
	assert_state(&scene, 1, WORK_RECEIVE_HIDDEN);
	close_scene(&scene, IBV_WR_SEND, LONG);
}

static void hidden_before_it_is_acknowledged(void **state)
{
	struct scene scene;
	char setting[64];

	open_scene(&scene, "hold_receives=0");
	snprintf(setting, sizeof(setting), "%u/0x100:lose_acks=0", pair_lid(0));
	assert_int_equal(qp_faults_set(&scene.faults, setting), 0);
	post_two(&scene, IBV_WR_SEND, LONG);
	assert_state(&scene, 0, WORK_EXECUTED);
	assert_true(look(&scene, 0).receive_is_hidden);
	close_scene(&scene, IBV_WR_SEND, LONG);
}

static void blocked_by_rnr(void **state)
{
	for (int i = 0; i < MESSAGES; i++) {
		struct scene scene;

		if (!takes_receive(messages[i]))
			continue;
		open_scene(&scene, "rnr=0");
		post_two(&scene, messages[i], MTU - 1);
		assert_state(&scene, 0, WORK_RNR_BLOCKED);
		assert_state(&scene, 1, WORK_NOT_SENT);
		close_scene(&scene, messages[i], MTU - 1);
	}
}

/* All but the last packet is written, which alone takes a RECV. */
static void a_long_write_with_imm_is_blocked_at_its_end(void **state)
{
	struct scene scene;

	open_scene(&scene, "rnr=0");
	post_two(&scene, IBV_WR_RDMA_WRITE_WITH_IMM, LONG);
	assert_state(&scene, 0, WORK_RNR_BLOCKED);
	assert_int_equal(look(&scene, 0).accepted, 4);
	close_scene(&scene, IBV_WR_RDMA_WRITE_WITH_IMM, LONG);
}

static void a_missing_receive_blocks_as_the_rule_does(void **state)
{
	struct scene scene;

	open_scene(&scene, "lose=9");
	receive_queue_clear(scene.pair->end[1].qp.responder.queue);
	post_two(&scene, IBV_WR_SEND, LONG);
	assert_state(&scene, 0, WORK_RNR_BLOCKED);
	for (uint64_t i = 0; i < 2; i++)
		assert_int_equal(pair_post_receive(scene.pair, 1, REMOTE, LONG, 50 + i), 0);
	close_scene(&scene, IBV_WR_SEND, LONG);
}

static void answer_of_a_read_lost_from_a_packet_on(void **state)
{
	for (uint32_t packets = 0; packets < 5; packets++) {
		struct scene scene;
		char rule[32];

		snprintf(rule, sizeof(rule), "lose_answers=1.%u", packets);
		open_scene(&scene, rule);
		pair_fill(scene.pair, 1, REMOTE, LONG, 9);
		post_two(&scene, IBV_WR_RDMA_READ, LONG);
		assert_state(&scene, 0, WORK_DONE);
		assert_state(&scene, 1, WORK_ANSWER_LOST);
		assert_int_equal(look(&scene, 1).answered, packets);
		close_scene(&scene, IBV_WR_RDMA_READ, LONG);
	}
}

static void answer_of_an_atomic_lost(void **state)
{
	static const enum ibv_wr_opcode atomics[] = {
	        IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP};

	for (int i = 0; i < 2; i++) {
		struct scene scene;

		open_scene(&scene, "lose_answers=0");
		pair_set_word(scene.pair, 1, REMOTE, 5);
		pair_post_atomic(scene.pair, atomics[i], 5, 10);
		run(&scene);
		assert_state(&scene, 0, WORK_ANSWER_LOST);
		assert_int_equal(pair_word(scene.pair, 1, REMOTE), 10);
		qp_faults_clear(&scene.faults);
		assert_true(pair_settle(scene.pair));
		assert_state(&scene, 0, WORK_DONE);
		pair_assert_sent(scene.pair, 0, 1, IBV_WC_SUCCESS);
		/* Once, and the answer is what was there before. */
		assert_int_equal(pair_word(scene.pair, 0, LOCAL), 5);
		assert_int_equal(pair_word(scene.pair, 1, REMOTE), 10);
		pair_close(scene.pair);
	}
}

/* A queue of 256: what was completed before the last 256 requests has lost its slot. */
static void slots_are_looked_at_while_they_last(void **state)
{
	struct send_queue queue = {.size = 256, .posted = 3};

	assert_int_equal(work_state_first(&queue), 0);
	queue.posted = 300;
	assert_int_equal(work_state_first(&queue), 44);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(not_sent),
	        cmocka_unit_test(sent_and_lost_is_not_sent),
	        cmocka_unit_test(partly_delivered),
	        cmocka_unit_test(executed_and_unacknowledged),
	        cmocka_unit_test(acknowledged_and_the_receive_hidden),
	        cmocka_unit_test(what_completes_behind_a_hidden_receive_is_hidden_too),
	        cmocka_unit_test(hidden_before_it_is_acknowledged),
	        cmocka_unit_test(blocked_by_rnr),
	        cmocka_unit_test(a_long_write_with_imm_is_blocked_at_its_end),
	        cmocka_unit_test(a_missing_receive_blocks_as_the_rule_does),
	        cmocka_unit_test(answer_of_a_read_lost_from_a_packet_on),
	        cmocka_unit_test(answer_of_an_atomic_lost),
	        cmocka_unit_test(slots_are_looked_at_while_they_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
