/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "simfabric/data_faults.h"

struct sender {
	struct data_faults faults;
	struct fault_dice dice;
	struct fault_cut cut;
};

static struct fault_fate decide(struct sender *sender, const struct packet *packet)
{
	return data_faults_decide(&sender->faults, &sender->dice, &sender->cut, packet);
}

static void set(struct sender *sender, const char *setting)
{
	assert_int_equal(data_faults_set(&sender->faults, setting), 0);
}

static struct packet packet_of(uint8_t opcode)
{
	return (struct packet){
	        .opcode = opcode, .slid = 3, .dlid = 7, .aeth = {.syndrome = SYNDROME_ACK}};
}

static unsigned lost_of(struct sender *sender, const struct packet *packet, unsigned tries)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < tries; i++)
		lost += decide(sender, packet).drop;
	return lost;
}

static void only_the_kind_that_was_named_is_lost(void **state)
{
	static const char *const settings[KIND_COUNT] = {"drop.request=1", "drop.response=1",
	        "drop.ack=1", "drop.rnr=1", "drop.uc=1", "drop.ud=1"};
	struct packet packets[KIND_COUNT] = {packet_of(OP_WRITE_ONLY),
	        packet_of(OP_READ_RESPONSE_ONLY), packet_of(OP_ACKNOWLEDGE),
	        packet_of(OP_ACKNOWLEDGE), packet_of(TRANSPORT_UC | OP_WRITE_ONLY),
	        packet_of(TRANSPORT_UD | OP_SEND_ONLY)};

	packets[KIND_RNR_NAK].aeth.syndrome = SYNDROME_RNR_NAK | 12;
	for (int set_kind = 0; set_kind < KIND_COUNT; set_kind++) {
		struct sender sender = {0};

		set(&sender, settings[set_kind]);
		assert_true(sender.faults.is_active);
		for (int kind = 0; kind < KIND_COUNT; kind++)
			assert_int_equal(decide(&sender, &packets[kind]).drop, kind == set_kind);
	}
}

static void probability_is_kept(void **state)
{
	struct sender sender = {0};
	struct packet packet = packet_of(OP_SEND_ONLY);

	set(&sender, "drop.request=0.25");
	assert_in_range(lost_of(&sender, &packet, 100000), 24000, 26000);
}

static void what_is_seen_and_lost_is_counted(void **state)
{
	struct sender sender = {0};
	struct packet packet = packet_of(OP_SEND_ONLY);
	const struct packet_counts *counts = &sender.faults.packets[KIND_REQUEST];
	unsigned lost;

	set(&sender, "drop.request=0.25");
	lost = lost_of(&sender, &packet, 1000);
	assert_int_equal(counts->seen, 1000);
	assert_int_equal(counts->lost, lost);
	set(&sender, "none");
	assert_int_equal(counts->seen, 1000);
	assert_int_equal(sender.faults.packets[KIND_ACK].seen, 0);
}

static void same_seed_gives_the_same_fates(void **state)
{
	struct sender a = {0}, b = {0}, c = {0};
	struct packet packet = packet_of(OP_SEND_ONLY);
	unsigned differences = 0;

	set(&a, "drop.request=0.5");
	set(&b, "drop.request=0.5");
	set(&c, "drop.request=0.5");
	set(&a, "seed=42");
	set(&b, "seed=42");
	set(&c, "seed=43");
	for (int i = 0; i < 1000; i++) {
		bool fate = decide(&a, &packet).drop;

		assert_int_equal(decide(&b, &packet).drop, fate);
		differences += decide(&c, &packet).drop != fate;
	}
	assert_true(differences > 300);
}

static void delay_is_between_nothing_and_its_limit(void **state)
{
	struct sender sender = {0};
	struct packet packet = packet_of(OP_ACKNOWLEDGE);
	uint64_t longest = 0;

	set(&sender, "delay.ack=1:50");
	for (int i = 0; i < 1000; i++) {
		uint64_t delay_ns = decide(&sender, &packet).delay_ns;

		assert_in_range(delay_ns, 1, 50001);
		longest = delay_ns > longest ? delay_ns : longest;
	}
	assert_true(longest > 40000);
}

static void pair_has_a_rule_of_its_own(void **state)
{
	struct sender sender = {0};
	struct packet packet = packet_of(OP_SEND_ONLY);

	set(&sender, "3>7:drop.request=1");
	assert_true(decide(&sender, &packet).drop);
	packet.dlid = 8;
	assert_false(decide(&sender, &packet).drop);
	packet.dlid = 3;
	packet.slid = 7;
	assert_false(decide(&sender, &packet).drop);
}

static bool is_lost(struct sender *sender, uint32_t psn, uint32_t index, uint8_t opcode)
{
	struct packet packet = packet_of(opcode);

	packet.psn = psn;
	packet.message_index = index;
	return decide(sender, &packet).drop;
}

static void cut_loses_the_rest_of_a_message_from_its_packet_on(void **state)
{
	struct sender sender = {0};

	set(&sender, "cut=1:2");
	assert_false(is_lost(&sender, 10, 0, OP_SEND_FIRST));
	assert_false(is_lost(&sender, 11, 1, OP_SEND_MIDDLE));
	assert_true(is_lost(&sender, 12, 2, OP_SEND_MIDDLE));
	assert_true(is_lost(&sender, 13, 3, OP_SEND_LAST));
	/* The next message begins whole. */
	assert_false(is_lost(&sender, 14, 0, OP_SEND_FIRST));
	/* A message of one packet cannot be cut. */
	assert_false(is_lost(&sender, 15, 0, OP_SEND_ONLY));
	/* With the cut gone, the retry of the rest passes. */
	set(&sender, "cut=0:2");
	assert_false(is_lost(&sender, 12, 2, OP_SEND_MIDDLE));
	assert_false(is_lost(&sender, 13, 3, OP_SEND_LAST));
}

static void none_lets_everything_pass_and_leaves_the_adapter(void **state)
{
	struct sender sender = {0};
	struct packet packet = packet_of(OP_SEND_ONLY);

	set(&sender, "preset=mlx5");
	set(&sender, "drop.request=1");
	set(&sender, "3>7:drop.request=1");
	set(&sender, "hold=1:100");
	set(&sender, "hold_send=1:30");
	assert_int_equal(data_faults_hold_ns(&sender.faults, &sender.dice, true), 100000);
	assert_int_equal(data_faults_hold_ns(&sender.faults, &sender.dice, false), 30000);
	set(&sender, "none");
	assert_false(decide(&sender, &packet).drop);
	assert_int_equal(data_faults_hold_ns(&sender.faults, &sender.dice, true), 0);
	assert_int_equal(data_faults_hold_ns(&sender.faults, &sender.dice, false), 0);
	assert_false(sender.faults.is_active);
	assert_true(sender.faults.reset_purges);
}

static void presets_are_the_adapters(void **state)
{
	struct data_faults faults = {0};

	assert_int_equal(data_faults_set(&faults, "preset=mlx5"), 0);
	assert_true(faults.reset_purges && faults.err_flushes_receives && faults.live_rq_psn);
	assert_true(faults.raises_last_wqe && faults.live_sq_psn);
	assert_int_equal(data_faults_set(&faults, "preset=rxe"), 0);
	assert_false(faults.reset_purges || faults.err_flushes_receives || faults.raises_last_wqe);
	assert_true(faults.live_rq_psn && faults.live_sq_psn);
	assert_int_equal(data_faults_set(&faults, "live_rq_psn=0"), 0);
	assert_false(faults.live_rq_psn);
	assert_int_equal(data_faults_set(&faults, "live_sq_psn=0"), 0);
	assert_false(faults.live_sq_psn);
	assert_int_equal(data_faults_set(&faults, "given_psns=1"), 0);
	assert_true(faults.given_psns);
	assert_int_equal(data_faults_set(&faults, "err_gives_back_sent=1"), 0);
	assert_true(faults.err_gives_back_sent);
	assert_int_equal(data_faults_set(&faults, "preset=mlx5"), 0);
	assert_false(faults.err_gives_back_sent || faults.given_psns);
}

static void a_queue_pairs_rules_go_beside_those_of_all(void **state)
{
	struct sender sender = {0};
	struct packet packet = packet_of(OP_SEND_ONLY);

	set(&sender, "3/5:lose=@10");
	assert_true(sender.faults.is_active);
	packet.src_qpn = 5;
	packet.psn = 9;
	assert_false(decide(&sender, &packet).drop);
	packet.psn = 10;
	assert_true(decide(&sender, &packet).drop);
	/* What has no acknowledgement has no such rules. */
	packet.opcode |= TRANSPORT_UC;
	assert_false(decide(&sender, &packet).drop);
	packet.opcode = OP_SEND_ONLY;
	set(&sender, "none");
	assert_false(decide(&sender, &packet).drop);
}

static void each_change_is_counted(void **state)
{
	struct data_faults faults = {0};

	data_faults_set(&faults, "drop.ack=1");
	data_faults_set(&faults, "3/5:rnr=0");
	data_faults_set(&faults, "none");
	assert_int_equal(faults.changes, 3);
}

static void what_is_not_understood_is_refused_and_changes_nothing(void **state)
{
	static const char *const wrong[] = {"", "drop", "drop=1", "drop.all=1", "drop.request",
	        "drop.request=", "drop.request=2", "drop.request=-1", "drop.request=0.1x",
	        "delay.ack=0.5", "delay.ack=0.5:", "delay.ack=0.5:x", "cut=1", "hold=1",
	        "hold_send=1", "seed=", "seed=1x", "preset=cx5", "reset_purges=2",
	        "live_rq_psn=", "3>7", "3>7:", "3>70000:drop.request=1", "3:drop.request=1",
	        "3>7:preset=mlx5", "3/5:", "3/5:rnr", "3>7:3/5:pass", "live_sq_psn=2",
	        "nonsense=1"};
	struct data_faults faults = {0}, before;

	data_faults_set(&faults, "preset=mlx5");
	before = faults;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(data_faults_set(&faults, wrong[i]), -EINVAL);
		assert_int_equal(faults.is_active, 0);
		assert_int_equal(faults.rule_count, before.rule_count);
	}
}

static void rules_for_pairs_end_somewhere(void **state)
{
	struct data_faults faults = {0};
	char setting[64];

	for (int i = 1; i < FAULT_RULES_MAX; i++) {
		snprintf(setting, sizeof(setting), "%d>1:drop.ack=1", i);
		assert_int_equal(data_faults_set(&faults, setting), 0);
	}
	assert_int_equal(data_faults_set(&faults, "99>1:drop.ack=1"), -ENOSPC);
	assert_int_equal(data_faults_set(&faults, "5>1:drop.ack=0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(only_the_kind_that_was_named_is_lost),
	        cmocka_unit_test(probability_is_kept),
	        cmocka_unit_test(what_is_seen_and_lost_is_counted),
	        cmocka_unit_test(same_seed_gives_the_same_fates),
	        cmocka_unit_test(delay_is_between_nothing_and_its_limit),
	        cmocka_unit_test(pair_has_a_rule_of_its_own),
	        cmocka_unit_test(cut_loses_the_rest_of_a_message_from_its_packet_on),
	        cmocka_unit_test(none_lets_everything_pass_and_leaves_the_adapter),
	        cmocka_unit_test(presets_are_the_adapters),
	        cmocka_unit_test(a_queue_pairs_rules_go_beside_those_of_all),
	        cmocka_unit_test(each_change_is_counted),
	        cmocka_unit_test(what_is_not_understood_is_refused_and_changes_nothing),
	        cmocka_unit_test(rules_for_pairs_end_somewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
