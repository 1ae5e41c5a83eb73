/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/clients.h"
#include "simfabric/counters.h"
#include "simfabric/event_heap.h"
#include "simfabric/links.h"
#include "simfabric/mad_delivery.h"
#include "simfabric/mailbox.h"
#include "simfabric/traps.h"
#include "unit/simfabric_fixture.h"

enum { NODE_DESCRIPTION = 0x10, SM_INFO = 0x20, NOTICE = 0x02 };

static struct fabric *fabric;
static uint32_t box; /* of H1 */
static uint8_t mad[256];

static int open_fabric(void **state)
{
	fabric = fixture_open();
	if (!fabric || client_join(fabric))
		return -1;
	fixture_bring_up(fabric);
	return mailbox_open(fabric, fixture_port(fabric, "H1", 1), &box);
}

static int close_fabric(void **state)
{
	fixture_close(fabric);
	return 0;
}

static struct mad_origin origin_of(uint32_t mailbox)
{
	const struct mailbox *m = mailbox_at(fabric, mailbox);

	return (struct mad_origin){m->port, mailbox, m->generation, 0};
}

static int send_from(uint32_t mailbox, uint16_t dlid, bool *is_answered)
{
	struct mad_packet packet = {
	        .origin = origin_of(mailbox),
	        .to = {.lid = htobe16(dlid)},
	        .mad = mad,
	        .bytes = sizeof(mad),
	};

	return mad_send(fabric, &packet, is_answered);
}

/* The first MAD in @mailbox, into mad. */
static bool receive(uint32_t mailbox, struct ib_mad_addr *from)
{
	uint32_t message = mailbox_take(fabric, mailbox);

	if (message == NO_INDEX)
		return false;
	message_read(fabric, message, mad, sizeof(mad));
	if (from)
		*from = message_at(fabric, message)->address;
	message_free(fabric, message);
	return true;
}

static void make_request(uint8_t mgmt_class, uint8_t method, uint16_t attribute)
{
	memset(mad, 0, sizeof(mad));
	mad[0] = 1;
	mad[MAD_CLASS] = mgmt_class;
	mad[MAD_CLASS_VERSION] = 1;
	mad[MAD_METHOD] = method;
	mad_set16(mad, MAD_ATTRIBUTE, attribute);
	mad_set16(mad, SMP_DR_SLID, 0xffff);
	mad_set16(mad, SMP_DR_DLID, 0xffff);
}

static void set_path(const uint8_t *path, unsigned hops)
{
	mad[SMP_HOP_COUNT] = hops;
	memcpy(mad + SMP_INITIAL_PATH, path, hops + 1);
}

/* Ask for the NodeDescription at the end of @path; NULL if there is no answer. */
static const char *describe(const uint8_t *path, unsigned hops)
{
	static char name[65];
	bool is_answered;

	make_request(CLASS_SUBN_DR, METHOD_SUBN_GET, NODE_DESCRIPTION);
	set_path(path, hops);
	if (send_from(box, 0xffff, &is_answered) || !is_answered || !receive(box, NULL))
		return NULL;
	memcpy(name, mad + SMP_DATA, 64);
	return name;
}

static void directed_route_goes_port_by_port(void **state)
{
	static const uint8_t path[] = {0, 1, 2, 2};

	assert_string_equal(describe(path, 0), "H1");
	assert_string_equal(describe(path, 1), "S1");
	assert_string_equal(describe(path, 2), "S2");
	assert_string_equal(describe(path, 3), "H2");
	assert_int_equal(mad[SMP_HOP_POINTER], 0);
	assert_int_equal(mad_get16(mad, MAD_STATUS), STATUS_DIRECTION);
	assert_int_equal(mad[SMP_RETURN_PATH + 1], 1);
	assert_int_equal(mad[SMP_RETURN_PATH + 2], 1);
	assert_int_equal(mad[SMP_RETURN_PATH + 3], 1);
}

static void impossible_paths_are_not_answered(void **state)
{
	static const struct {
		const char *what;
		uint8_t path[8];
		unsigned hops;
	} rows[] = {
	        {"through a CA", {0, 1, 2, 2, 1}, 4},
	        {"out of a port without a cable", {0, 1, 4}, 2},
	        {"out of a port that is not there", {0, 1, 5}, 2},
	        {"out of port 0", {0, 1, 0}, 2},
	        {"out of port 255", {0, 1, 255}, 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].what);
		assert_null(describe(rows[i].path, rows[i].hops));
	}
	link_plug(fabric, fixture_port(fabric, "S2", 1), false);
	assert_null(describe((const uint8_t[]){0, 1, 2}, 2));
}

static void directed_route_must_begin_at_the_port(void **state)
{
	bool is_answered;

	make_request(CLASS_SUBN_DR, METHOD_SUBN_GET, NODE_DESCRIPTION);
	set_path((const uint8_t[]){0, 2}, 1);
	assert_int_equal(send_from(box, 0xffff, &is_answered), -EINVAL);
	mad[SMP_HOP_COUNT] = 64;
	assert_int_equal(send_from(box, 0xffff, &is_answered), -EINVAL);
	mad[SMP_HOP_COUNT] = 255;
	assert_int_equal(send_from(box, 0xffff, &is_answered), -EINVAL);
	set_path((const uint8_t[]){0, 1}, 1);
	mad[SMP_HOP_POINTER] = 1;
	assert_int_equal(send_from(box, 0xffff, &is_answered), -EINVAL);
}

static void sixty_three_hops_are_possible(void **state)
{
	uint8_t path[64] = {0, 1};

	for (unsigned i = 2; i < 64; i++)
		path[i] = i % 2 ? 1 : 2; /* S1 by 2 to S2, by 1 back */
	assert_string_equal(describe(path, 63), "S1");
}

static void lid_route_answers_from_the_lid(void **state)
{
	struct ib_mad_addr from = {0};
	bool is_answered;

	make_request(CLASS_SUBN_LID, METHOD_SUBN_GET, NODE_DESCRIPTION);
	assert_int_equal(send_from(box, 12, &is_answered), 0);
	assert_true(is_answered && receive(box, &from));
	assert_string_equal((char *)mad + SMP_DATA, "H2");
	assert_int_equal(be16toh(from.lid), 12);
	make_request(CLASS_SUBN_LID, METHOD_SUBN_GET, NODE_DESCRIPTION);
	assert_int_equal(send_from(box, 11, &is_answered), 0);
	assert_true(is_answered && receive(box, NULL));
	assert_string_equal((char *)mad + SMP_DATA, "H1");
}

static void answer_needs_a_way_back(void **state)
{
	bool is_answered;

	fixture_set_route(fabric, "S2", 11, LFT_NO_PORT);
	make_request(CLASS_SUBN_LID, METHOD_SUBN_GET, NODE_DESCRIPTION);
	assert_int_equal(send_from(box, 12, &is_answered), 0);
	assert_false(is_answered);
	assert_int_equal(counters_of_node(fabric, node_find(fabric, "H2"))
	                         ->by_attribute[SMP_node_description]
	                         .get,
	        1);
	assert_string_equal(describe((const uint8_t[]){0, 1, 2, 2}, 3), "H2");
}

static void directed_part_may_follow_a_lid_routed_one(void **state)
{
	bool is_answered;

	make_request(CLASS_SUBN_DR, METHOD_SUBN_GET, NODE_DESCRIPTION);
	set_path((const uint8_t[]){0, 3}, 1);
	mad_set16(mad, SMP_DR_SLID, 11);
	assert_int_equal(send_from(box, 2, &is_answered), 0);
	assert_true(is_answered && receive(box, NULL));
	assert_string_equal((char *)mad + SMP_DATA, "H3");
	make_request(CLASS_SUBN_DR, METHOD_SUBN_GET, NODE_DESCRIPTION);
	set_path((const uint8_t[]){0, 1, 2}, 2);
	mad_set16(mad, SMP_DR_DLID, 15);
	assert_int_equal(send_from(box, 0xffff, &is_answered), 0);
	assert_true(is_answered && receive(box, NULL));
	assert_string_equal((char *)mad + SMP_DATA, "vf1");
}

static void ca_passes_nothing_from_one_port_to_the_other(void **state)
{
	bool is_answered;

	make_request(CLASS_SUBN_DR, METHOD_SUBN_GET, NODE_DESCRIPTION);
	set_path((const uint8_t[]){0, 2}, 1); /* H3, reached by port 1, and out of its port 2 */
	mad_set16(mad, SMP_DR_SLID, 11);
	assert_int_equal(send_from(box, 13, &is_answered), 0);
	assert_false(is_answered);
	mad[SMP_INITIAL_PATH + 1] = 1;
	assert_int_equal(send_from(box, 13, &is_answered), 0);
	assert_true(is_answered && receive(box, NULL));
	assert_string_equal((char *)mad + SMP_DATA, "S2");
}

static void register_sm(uint32_t mailbox)
{
	struct agent sm = {.mgmt_class = CLASS_SUBN_DR,
	        .class_version = 1,
	        .methods = {1 << METHOD_SUBN_GET | 1 << METHOD_SUBN_SET}};
	struct agent traps = {.mgmt_class = CLASS_SUBN_LID,
	        .class_version = 1,
	        .methods = {1 << METHOD_SUBN_TRAP}};

	assert_int_equal(agent_register(fabric, mailbox, &sm), 0);
	assert_int_equal(agent_register(fabric, mailbox, &traps), 1);
}

static void sm_info_goes_to_the_subnet_manager_and_its_answer_back(void **state)
{
	struct agent asker = {.mgmt_class = CLASS_SUBN_DR, .class_version = 1};
	uint32_t sm;
	bool is_answered;

	assert_int_equal(mailbox_open(fabric, fixture_port(fabric, "H2", 1), &sm), 0);
	register_sm(sm);
	assert_int_equal(agent_register(fabric, box, &asker), 0);
	make_request(CLASS_SUBN_DR, METHOD_SUBN_GET, SM_INFO);
	set_path((const uint8_t[]){0, 1, 2, 2}, 3);
	mad_set64(mad, MAD_TID, (uint64_t)agent_tid_high(fabric, box, 0) << 32 | 9);
	assert_int_equal(send_from(box, 0xffff, &is_answered), 0);
	assert_false(is_answered);
	assert_true(receive(sm, NULL));
	assert_int_equal(mad[SMP_HOP_POINTER], 4);
	mad[MAD_METHOD] = METHOD_GET_RESPONSE;
	mad_set16(mad, MAD_STATUS, STATUS_DIRECTION);
	assert_int_equal(send_from(sm, 0xffff, &is_answered), 0);
	assert_true(receive(box, NULL));
	assert_int_equal(mad[SMP_HOP_POINTER], 0);
	assert_int_equal(mad_get64(mad, MAD_TID) & 0xffffffff, 9);
}

static void sm_info_without_a_subnet_manager_is_refused(void **state)
{
	bool is_answered;

	make_request(CLASS_SUBN_LID, METHOD_SUBN_GET, SM_INFO);
	assert_int_equal(send_from(box, 12, &is_answered), 0);
	assert_true(is_answered && receive(box, NULL));
	assert_int_equal(mad_get16(mad, MAD_STATUS), STATUS_BAD_METHOD_ATTRIBUTE);
}

static void tell_sm_lid(const char *node, unsigned number)
{
	struct port *port = &fabric->ports[fixture_port(fabric, node, number)];

	port_info_set_sm_lid(port->info, 11);
	port_info_set_subnet_timeout(port->info, 8); /* a millisecond */
}

static void wait_for_repeat(void)
{
	uint64_t due = event_next_ns(fabric);

	assert_int_not_equal(due, UINT64_MAX);
	while (now_ns() < due)
		;
	mad_run_due(fabric);
}

static void trap_is_repeated_until_repressed(void **state)
{
	uint64_t tid;
	bool is_answered;

	register_sm(box);
	tell_sm_lid("S2", 0);
	fabric_lock(fabric);
	link_plug(fabric, fixture_port(fabric, "H2", 1), false);
	fabric_unlock(fabric);
	assert_true(receive(box, NULL));
	assert_int_equal(mad[MAD_METHOD], METHOD_SUBN_TRAP);
	assert_int_equal(mad_get16(mad, SMP_DATA + 4), TRAP_LINK_STATE);
	assert_int_equal(mad_get16(mad, SMP_DATA + 6), 2);
	assert_int_equal(mad_get16(mad, SMP_DATA + 10), 2);
	tid = mad_get64(mad, MAD_TID);
	wait_for_repeat();
	assert_true(receive(box, NULL));
	assert_int_equal(mad_get64(mad, MAD_TID), tid);
	mad[MAD_METHOD] = METHOD_SUBN_TRAP_REPRESS;
	assert_int_equal(send_from(box, 2, &is_answered), 0);
	assert_int_equal(traps_outstanding(fabric), 0);
	while (receive(box, NULL)) /* sent before */
		;
	wait_for_repeat();
	assert_false(receive(box, NULL));
}

static void second_change_is_a_trap_of_its_own(void **state)
{
	uint64_t first;
	bool is_answered;

	register_sm(box);
	tell_sm_lid("S2", 0);
	link_plug(fabric, fixture_port(fabric, "H2", 1), false);
	assert_true(receive(box, NULL));
	first = mad_get64(mad, MAD_TID);
	link_plug(fabric, fixture_port(fabric, "H2", 1), true);
	mad[MAD_METHOD] = METHOD_SUBN_TRAP_REPRESS;
	assert_int_equal(send_from(box, 2, &is_answered), 0);
	assert_int_equal(traps_outstanding(fabric), 1);
	assert_true(receive(box, NULL));
	assert_int_not_equal(mad_get64(mad, MAD_TID), first);
}

static void refused_mkey_is_reported(void **state)
{
	struct port *port = &fabric->ports[fixture_port(fabric, "H3", 1)];
	bool is_answered;

	register_sm(box);
	tell_sm_lid("H3", 1);
	port_info_set_mkey(port->info, 0x4711);
	make_request(CLASS_SUBN_LID, METHOD_SUBN_SET, 0x15);
	mad_set64(mad, SMP_MKEY, 0x99);
	mad_set32(mad, MAD_MODIFIER, 1);
	assert_int_equal(send_from(box, 13, &is_answered), 0);
	assert_false(is_answered);
	assert_true(receive(box, NULL));
	assert_int_equal(mad_get16(mad, SMP_DATA + 4), TRAP_BAD_MKEY);
	assert_int_equal(mad_get16(mad, SMP_DATA + 12), 11);
	assert_int_equal(mad[SMP_DATA + 16], METHOD_SUBN_SET);
	assert_int_equal(mad_get64(mad, SMP_DATA + 24), 0x99);
}

static void rule_drops_requests_or_answers(void **state)
{
	struct mad_fault rule = {.kind = MAD_FAULT_DROP,
	        .node = node_find(fabric, "S2"),
	        .chance = MAD_FAULT_CERTAIN,
	        .left = 1,
	        .directions = MAD_REQUEST};
	const uint8_t path[] = {0, 1, 2};
	const struct smp_counts *counts = &counters_of_node(fabric, node_find(fabric, "S2"))
	                                           ->by_attribute[SMP_node_description];

	mad_fault_add(fabric, &rule);
	assert_null(describe(path, 2));
	assert_int_equal(counts->get, 0);
	rule.directions = MAD_RESPONSE;
	mad_fault_add(fabric, &rule);
	assert_non_null(describe(path, 1));
	assert_null(describe(path, 2));
	assert_int_equal(counts->get, 1);
	assert_int_equal(counts->dropped, 2);
	assert_string_equal(describe(path, 2), "S2");
}

/* The longer way before the shorter one. False: this machine was so slow that nobody knows which is
 * due first. */
static bool send_late_ones(uint64_t per_hop_ns)
{
	uint64_t since_ns = now_ns();

	assert_null(describe((const uint8_t[]){0, 1, 2}, 2));
	assert_null(describe((const uint8_t[]){0, 1}, 1));
	return now_ns() - since_ns < per_hop_ns;
}

static void late_smp_is_carried_out_when_it_is_due(void **state)
{
	struct mad_fault rule = {.kind = MAD_FAULT_DELAY,
	        .node = NO_INDEX,
	        .chance = MAD_FAULT_CERTAIN,
	        .left = UINT32_MAX,
	        .directions = MAD_REQUEST,
	        .delay_ns = 1000,
	        .per_hop_ns = 1000000};

	mad_fault_add(fabric, &rule);
	while (!send_late_ones(rule.per_hop_ns)) {
		while (events_waiting(fabric))
			wait_for_repeat();
		while (receive(box, NULL))
			;
	}
	assert_int_equal(events_waiting(fabric), 2);
	wait_for_repeat();
	assert_true(receive(box, NULL));
	assert_string_equal((char *)mad + SMP_DATA, "S1");
	if (events_waiting(fabric)) /* else this machine was slow, and both were due */
		wait_for_repeat();
	assert_true(receive(box, NULL));
	assert_string_equal((char *)mad + SMP_DATA, "S2");
	assert_int_equal(message_chunks_used(fabric), 0);
}

static void events_keep_their_order_through_a_recovery(void **state)
{
	static const uint64_t due[] = {50, 20, 20, 90, 10, 20};
	static const uint32_t order[] = {4, 1, 2, 5, 0, 3};
	struct event event;

	for (uint32_t i = 0; i < ARRAY_SIZE(due); i++) {
		event = (struct event){.due_ns = due[i], .message = NO_INDEX, .port = i};
		assert_int_equal(event_add(fabric, &event), 0);
	}
	events_recover(fabric);
	assert_false(event_take_due(fabric, 9, &event));
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		assert_true(event_take_due(fabric, 90, &event));
		assert_int_equal(event.port, order[i]);
	}
	assert_false(event_take_due(fabric, UINT64_MAX - 1, &event));
}

#define on_fabric(test) cmocka_unit_test_setup_teardown(test, open_fabric, close_fabric)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_fabric(directed_route_goes_port_by_port),
	        on_fabric(impossible_paths_are_not_answered),
	        on_fabric(directed_route_must_begin_at_the_port),
	        on_fabric(sixty_three_hops_are_possible),
	        on_fabric(lid_route_answers_from_the_lid),
	        on_fabric(answer_needs_a_way_back),
	        on_fabric(directed_part_may_follow_a_lid_routed_one),
	        on_fabric(ca_passes_nothing_from_one_port_to_the_other),
	        on_fabric(sm_info_goes_to_the_subnet_manager_and_its_answer_back),
	        on_fabric(sm_info_without_a_subnet_manager_is_refused),
	        on_fabric(trap_is_repeated_until_repressed),
	        on_fabric(second_change_is_a_trap_of_its_own),
	        on_fabric(refused_mkey_is_reported),
	        on_fabric(rule_drops_requests_or_answers),
	        on_fabric(late_smp_is_carried_out_when_it_is_due),
	        on_fabric(events_keep_their_order_through_a_recovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
