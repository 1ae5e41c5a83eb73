/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VMs behind shared ports: a LID is several VMs', and peers go on knowing queue pairs by the one
 * that they had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <string.h>

#include "sm-side/root/shared_event.h"
#include "notifier/base/deadlines.h"
#include "sm-side/migration/migration.h"
#include "sm-side/migration/sm_talk.h"
#include "sm-side/migration/testimony.h"
#include "tests/unit/late_peers.h"

/*
 * VM A was known at LID 5 and is at 7; B was at 6 and is at 5, where A has been. Both have a queue
 * pair 0x40, of which A's is 0x90 now, and B's the 0x40 of that port.
 */
enum { A_HOME = 5, A_NOW = 7, B_HOME = 6, A_CONTEXT = 1, B_CONTEXT = 2 };

static const struct address a = {.lid = A_HOME, .gid = {0xfe, 0x80, [15] = 1}};
static const struct address b = {.lid = B_HOME, .gid = {0xfe, 0x80, [15] = 2}};

static void announce(struct late_peers *t, uint16_t lid, uint32_t qpn, uint32_t context)
{
	interest_add(
	        t->announced, 1, &(struct address){.lid = lid, .qpn = qpn, .context = context});
}

static void moved(struct late_peers *t, const struct address *vm, uint32_t home, uint32_t now,
        uint32_t context, uint32_t real_qpn)
{
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;
	struct qp_row rows[] = {
	        /* Of the context, a datagram queue pair, a connected one, and its peer's. */
	        {.local_lid = home, .real_lid = now, .context = context, .of_vm = 1},
	        {home, 0x40, real_qpn, 0, 0, 0, context, now, 1},
	        {home, 0x41, real_qpn + 1, 30, 0x41, 0, context, now, 1},
	        {30, 0x41, 0x41, home, 0x41, 0, 9, 30, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		qp_rows_append(&qps, &rows[i]);
	key_rows_append(&keys, &(struct key_row){context, 5, 50 + context, 0});
	assert_int_equal(numbers_set(&t->numbers, vm, true, &qps, &keys, NULL), 0);
	rows_clear(&qps.base);
	rows_clear(&keys.base);
	announce(t, (uint16_t)home, 0, context);
}

static int setup(void **state)
{
	static struct late_peers late;

	late_peers_init(&late);
	moved(&late, &a, A_HOME, A_NOW, A_CONTEXT, 0x90);
	moved(&late, &b, B_HOME, A_HOME, B_CONTEXT, 0x40);
	*state = &late;
	return 0;
}

static int teardown(void **state)
{
	late_peers_clear(*state);
	return 0;
}

/* What who connects to @qpn at @lid is told; NULL: nothing. */
static const struct qp_row *found(struct late_peers *t, uint16_t lid, uint32_t qpn)
{
	static struct qp_row row;
	struct address asked = {.lid = lid};

	late_peers_forget(t);
	assert_int_equal(numbers_find(&t->numbers, &asked, qpn, false, late_peers_announced, t,
	                         &t->qps, &t->keys, NULL),
	        0);
	if (!t->qps.n_local_qpn)
		return NULL;
	row = qp_rows_get(&t->qps, 0);
	return &row;
}

static void a_number_is_found_by_the_lid_that_it_was_told_with(void **state)
{
	const struct qp_row *row = found(*state, A_HOME, 0x40);

	assert_non_null(row);
	assert_int_equal(row->real_lid, A_NOW);
	assert_int_equal(row->real_qpn, 0x90);
	row = found(*state, B_HOME, 0x40);
	assert_int_equal(row->real_lid, A_HOME);
	/* Where it is now its number may be another's. */
	assert_null(found(*state, A_NOW, 0x40));
	assert_null(found(*state, A_NOW, 0x90));
}

static void a_gid_says_whose_it_is(void **state)
{
	struct late_peers *t = *state;
	struct address asked = b;

	asked.lid = A_HOME;
	assert_int_equal(numbers_find(&t->numbers, &asked, 0x40, false, late_peers_announced, t,
	                         &t->qps, &t->keys, NULL),
	        0);
	assert_int_equal(t->qps.n_local_qpn, 0);
}

static void what_a_moved_context_makes_is_where_it_is(void **state)
{
	struct late_peers *t = *state;
	const struct qp_row *row;

	announce(t, A_HOME, 0x77, A_CONTEXT);
	row = found(t, A_HOME, 0x77);
	assert_non_null(row);
	assert_int_equal(row->real_qpn, 0x77);
	assert_int_equal(row->real_lid, A_NOW);
	assert_int_equal(t->keys.real_rkey[0], 50 + A_CONTEXT);
	/* One that has not moved has nothing of it. */
	announce(t, A_HOME, 0x78, 3);
	assert_null(found(t, A_HOME, 0x78));
}

static void a_lids_table_has_who_left_and_who_came(void **state)
{
	struct late_peers *t = *state;
	struct address asked = {.lid = A_HOME};
	unsigned left = 0, came = 0;

	assert_int_equal(
	        numbers_find_datagrams(&t->numbers, &asked, late_peers_announced, t, &t->qps, NULL),
	        0);
	for (size_t i = 0; i < t->qps.n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(&t->qps, i);

		if (row.local_qpn != 0x40)
			continue;
		left += row.local_lid == A_HOME && row.real_lid == A_NOW && row.real_qpn == 0x90;
		came += row.local_lid == B_HOME && row.real_lid == A_HOME && row.real_qpn == 0x40;
		assert_int_equal(row.remote_lid, 0);
	}
	assert_int_equal(left, 1);
	assert_int_equal(came, 1);
}

static void who_has_ended_is_told_by_the_lid_that_it_showed(void **state)
{
	struct late_peers *t = *state;
	struct address asked = {.lid = A_HOME};

	assert_false(numbers_are_doubtful(&t->numbers, &asked, late_peers_announced, t));
	interest_drop(t->announced, 1, &(struct address){.lid = A_HOME, .context = A_CONTEXT});
	assert_true(numbers_are_doubtful(&t->numbers, &asked, late_peers_announced, t));
	numbers_forget_doubtful(&t->numbers, &asked, late_peers_announced, t);
	assert_false(numbers_are_doubtful(&t->numbers, &asked, late_peers_announced, t));
	assert_null(found(t, A_HOME, 0x40));
	assert_non_null(found(t, B_HOME, 0x40));
}

/* A datagram may go to a number that a connection has there, which is another's. */
static void who_sends_datagrams_asks_for_no_connection(void **state)
{
	struct address asked = {.lid = A_HOME};
	struct late_peers *t = *state;

	assert_int_equal(numbers_find(&t->numbers, &asked, 0x41, true, late_peers_announced, t,
	                         &t->qps, &t->keys, NULL),
	        0);
	assert_int_equal(t->qps.n_local_qpn, 0);
	assert_int_equal(numbers_find(&t->numbers, &asked, 0x40, true, late_peers_announced, t,
	                         &t->qps, &t->keys, NULL),
	        0);
	assert_int_equal(t->qps.n_local_qpn, 1);
}

/* ---- what the root adds to an event ---- */

static struct shared_event made_of(
        struct late_peers *t, Tether__Step step, uint16_t lid, Tether__QpRows *qps)
{
	Tether__Event event = TETHER__EVENT__INIT;
	Tether__Address wire;
	struct address now = a;
	struct shared_event made;

	now.lid = lid;
	address_encode(&now, &wire);
	event.step = step;
	event.shared_port = true;
	event.address = &wire;
	event.qps = qps;
	assert_int_equal(shared_event_make(&made, &event, &t->numbers), 0);
	return made;
}

static void an_event_names_each_lid_that_peers_know(void **state)
{
	struct shared_event made = made_of(*state, TETHER__STEP__STEP_PREPARE, A_NOW, NULL);

	assert_int_equal(made.event.n_known_lids, 1);
	assert_int_equal(made.event.known_lids[0], A_HOME);
	shared_event_clear(&made);
	/* Where it is anyhow is said already. */
	made = made_of(*state, TETHER__STEP__STEP_PREPARE, A_HOME, NULL);
	assert_int_equal(made.event.n_known_lids, 0);
	shared_event_clear(&made);
}

static void reconnect_brings_others_of_the_lids_concerned(void **state)
{
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	struct shared_event made;
	struct qp_row row;

	qp_rows_append(&qps, &(struct qp_row){A_HOME, 0x40, 0x91, 0, 0, 0, A_CONTEXT, 8, 1});
	made = made_of(*state, TETHER__STEP__STEP_RECONNECT, A_NOW, &qps);
	assert_true(made.event.qps->n_local_qpn > 1);
	row = qp_rows_get(made.event.qps, made.event.qps->n_local_qpn - 1);
	assert_int_equal(row.local_lid, B_HOME);
	assert_int_equal(row.of_vm, 0);
	assert_int_equal(qps.n_local_qpn, 1);
	shared_event_clear(&made);
	rows_clear(&qps.base);
}

/* ---- what the shims say ---- */

static int unpaired(bool shared_port)
{
	static const struct qp_row rows[] = {
	        /* The VM's and its peer's, at the same LID; a stranger's to a neighbour at that
	           LID. */
	        {5, 0x40, 0x40, 5, 0x50, 0, 1, 5, 1},
	        {5, 0x50, 0x50, 5, 0x40, 0, 2, 5, 0},
	        {9, 0x60, 0x60, 5, 0x70, 0, 3, 9, 0},
	};
	Tether__Answer answer = TETHER__ANSWER__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	struct testimony testimony;
	int count;

	testimony_init(&testimony);
	testimony.shared_port = shared_port;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		qp_rows_append(&qps, &rows[i]);
	answer.step = TETHER__STEP__STEP_PREPARE;
	answer.qps = &qps;
	assert_int_equal(testimony_take(&testimony, "vm1", 5, &answer), 0);
	count = testimony_find_unpaired(&testimony, 5);
	testimony_clear(&testimony);
	rows_clear(&qps.base);
	return count;
}

static void who_is_connected_to_a_neighbour_is_nobodys_concern(void **state)
{
	assert_int_equal(unpaired(true), 0);
	assert_int_equal(unpaired(false), 1);
}

static size_t rows_after(
        struct testimony *testimony, Tether__Step step, const struct qp_row *rows, size_t count)
{
	Tether__Answer answer = TETHER__ANSWER__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	for (size_t i = 0; i < count; i++)
		qp_rows_append(&qps, &rows[i]);
	answer.step = step;
	answer.qps = &qps;
	assert_int_equal(testimony_take(testimony, "vm1", 5, &answer), 0);
	rows_clear(&qps.base);
	return testimony->qps.n_local_qpn;
}

/* A peer at the VM's own LID, and a context of the VM that shows another one. */
static void rebuilt_rows_take_the_place_of_the_vms_alone(void **state)
{
	static const struct qp_row settled[] = {{5, 0x40, 0x40, 5, 0x50, 0, 1, 5, 1},
	        {6, 0x41, 0x41, 9, 0x60, 0, 2, 5, 1}, {5, 0x50, 0x50, 5, 0x40, 0, 3, 5, 0}};
	static const struct qp_row rebuilt[] = {{5, 0x40, 0x90, 5, 0x50, 0, 1, 7, 1}};
	struct testimony testimony;

	testimony_init(&testimony);
	testimony.shared_port = true;
	assert_int_equal(rows_after(&testimony, TETHER__STEP__STEP_SETTLE, settled, 3), 3);
	assert_int_equal(rows_after(&testimony, TETHER__STEP__STEP_ATTACH, rebuilt, 1), 2);
	assert_int_equal(testimony.qps.local_qpn[0], 0x50);
	assert_int_equal(testimony.qps.real_qpn[1], 0x90);
	testimony_clear(&testimony);
}

/* ---- the road ---- */

static struct migration_intent between_ports(bool fabric)
{
	return (struct migration_intent){.id = 1,
	        .epoch = 2,
	        .vm = "vm1",
	        .fabric = fabric,
	        .shared_port = true,
	        .identity = {.node_guid = 0x10, .port_guid = 0x11},
	        .other = {.node_guid = 0x20, .port_guid = 0x22},
	        .source = {.host = "a", .slot = "a1", .lid = 5},
	        .destination = {.host = "b", .slot = "b1", .lid = 7}};
}

/* The state that follows @from when all is well. */
static enum migration_state after(bool fabric, enum migration_state from)
{
	struct migration_intent intent = between_ports(fabric);
	struct migration m;
	enum migration_state to;

	migration_init(&m, &intent, &deadlines_default);
	m.state = from;
	m.committed = true;
	migration_event(&m, EVENT_DONE, 1);
	to = m.state;
	migration_clear(&m);
	return to;
}

static void nobody_leases_or_plans_and_the_sm_is_told(void **state)
{
	assert_int_equal(after(true, STATE_MOVING), STATE_NAMING);
	assert_int_equal(after(true, STATE_NAMING), STATE_VACATING);
	assert_int_equal(after(true, STATE_VACATING), STATE_APPLYING);
	assert_int_equal(after(true, STATE_APPLYING), STATE_ATTACHING);
	assert_int_equal(after(false, STATE_MOVING), STATE_NAMING);
	assert_int_equal(after(false, STATE_VACATING), STATE_ATTACHING);
}

static void is_told(const char *answer_text, enum migration_event event)
{
	struct migration_intent intent = between_ports(true);
	struct json_object *answer = json_tokener_parse(answer_text);
	struct migration m;
	bool carried;

	migration_init(&m, &intent, &deadlines_default);
	assert_int_equal(sm_talk_take(&m, ACTION_APPLY, answer, &carried), event);
	json_object_put(answer);
	migration_clear(&m);
}

static void the_sm_is_told_of_the_alias_both_ways(void **state)
{
	struct migration_intent intent = between_ports(true);
	struct json_object *request;
	struct migration m;

	migration_init(&m, &intent, &deadlines_default);
	request = sm_talk_request(&m, ACTION_APPLY);
	assert_string_equal(json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN),
	        "{\"op\":\"move_alias\",\"vm_port_guid\":\"0x0000000000000011\","
	        "\"other_port_guid\":\"0x0000000000000022\",\"from_lid\":5,\"to_lid\":7}");
	json_object_put(request);
	request = sm_talk_request(&m, ACTION_UNDO);
	assert_non_null(strstr(
	        json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), "\"to_lid\":5"));
	json_object_put(request);
	migration_clear(&m);
	is_told("{\"ok\":true,\"lid\":7}", EVENT_DONE);
	/* It was never told of them. */
	is_told("{\"ok\":false,\"reason\":\"unknown-port\",\"text\":\"\"}", EVENT_DONE);
	is_told("{\"ok\":false,\"reason\":\"stale-plan\",\"text\":\"\"}", EVENT_FAILED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_number_is_found_by_the_lid_that_it_was_told_with),
	        TEST(a_gid_says_whose_it_is),
	        TEST(what_a_moved_context_makes_is_where_it_is),
	        TEST(a_lids_table_has_who_left_and_who_came),
	        TEST(who_has_ended_is_told_by_the_lid_that_it_showed),
	        TEST(who_sends_datagrams_asks_for_no_connection),
	        TEST(an_event_names_each_lid_that_peers_know),
	        TEST(reconnect_brings_others_of_the_lids_concerned),
	        TEST(rebuilt_rows_take_the_place_of_the_vms_alone),
	        TEST(nobody_leases_or_plans_and_the_sm_is_told),
	        TEST(the_sm_is_told_of_the_alias_both_ways),
	        TEST(who_is_connected_to_a_neighbour_is_nobodys_concern),
	};

	return cmocka_run_group_tests_name("smd_shared_port", tests, NULL, NULL);
}
