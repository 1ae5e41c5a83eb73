/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VMs without LIDs: who is known by which names of GIDs, at each level. */
#include "tests/unit/relay_harness.h"

#include "notifier/relay/gid_book.h"
#include "tests/unit/gid_twins.h"

enum { CONTEXT = 3 };

static struct address at_gid(uint32_t number, uint32_t context)
{
	struct address address = numbered_address(number);

	address.context = context;
	return address;
}

static void name_note(void *names, const char *vm, const uint8_t gid[GID_BYTES])
{
	uint32_t *at = names;

	while (*at)
		at++;
	*at = gid_name(gid);
}

static void announced_by(struct test *t, const char *vm, const struct address *only)
{
	uint32_t names[8] = {0};

	gid_book_each(relay_names(t->relay), vm, name_note, names);
	assert_int_equal(names[0], only ? only->lid : 0);
	assert_int_equal(names[1], 0);
}

static void a_number_above_lids_has_to_be_its_gids_name(void **state)
{
	struct test *t = *state;
	struct address named = at_gid(1, 0), wrong = named;
	uint32_t link = child(t, "vm1", "vm1/1.1", 0);

	wrong.lid ^= 1;
	announce(t, link, 1, &wrong, false);
	interest(t, link, 2, 0x10000, false);
	interest(t, link, 3, named.lid, false); /* which GID? */
	EXPECT(t, "vm1/1.1 < registered 1 REFUSED (bad-address)\n"
	          "vm1/1.1 < registered 2 REFUSED (bad-address)\n"
	          "vm1/1.1 < registered 3 REFUSED (bad-address)\n");
	announce(t, link, 4, &named, false);
	assert_non_null(strstr(t->said, "registered 4 DONE"));
}

static void it_is_one_vms_alone(void **state)
{
	struct test *t = *state;
	struct address own = at_gid(1, CONTEXT), again = at_gid(1, CONTEXT + 1),
	               wanted = at_gid(1, 0);
	uint32_t first = child(t, "vm1", "vm1/1.1", 0), second = child(t, "vm1", "vm1/2.1", 0);
	uint32_t other = child(t, "vm2", "vm2/1.1", 0);

	announce(t, first, 1, &own, false);
	assert_string_equal(t->last_asker, "vm1");
	announce(t, second, 2, &again, false);
	announce(t, other, 3, &wanted, false);
	assert_null(strstr(t->said, "REFUSED"));
	forget(t);
	announce(t, other, 4, &again, false);
	EXPECT(t, "vm2/1.1 < registered 4 REFUSED (foreign-gid)\n");
	announced_by(t, "vm1", &own);
	announced_by(t, "vm2", NULL);

	announce(t, first, 5, &own, true);
	announced_by(t, "vm1", &own);
	relay_child_gone(t->relay, second, false, t->now_ms);
	pass(t, 501);
	announced_by(t, "vm1", NULL);
	announce(t, other, 6, &again, false);
	announced_by(t, "vm2", &own);
}

static void the_second_gid_of_a_name_is_refused(void **state)
{
	struct test *t = *state;
	struct address one = {.context = CONTEXT}, twin = {0};
	uint32_t first = child(t, "vm1", "vm1/1.1", 0), other = child(t, "vm2", "vm2/1.1", 0);

	assert_true(gid_twins(one.gid, twin.gid));
	one.lid = twin.lid = gid_name(one.gid);
	announce(t, first, 1, &one, false);
	forget(t);
	announce(t, other, 2, &twin, false);
	twin.context = CONTEXT;
	announce(t, other, 3, &twin, false);
	announce(t, first, 4, &twin, true); /* does not let go of the first */
	EXPECT(t, "vm2/1.1 < registered 2 REFUSED (gid-collision)\n"
	          "vm2/1.1 < registered 3 REFUSED (gid-collision)\n"
	          "vm1/1.1 < registered 4 REFUSED (gid-collision)\n");
	announced_by(t, "vm1", &one);
}

/* ---- whose a host says they are ---- */

static void a_host_announces_for_vms_that_are_not_anothers(void **state)
{
	struct test *t = *state;
	struct address one = at_gid(1, CONTEXT), two = at_gid(2, CONTEXT),
	               three = at_gid(3, CONTEXT);
	uint32_t from, to;

	PLACE(t, .vm = "vm1", .host = "hyp1", .next = "hyp2", .unlocated = true);
	PLACE(t, .vm = "vm3", .host = "hyp1", .unlocated = true);
	from = host(t, "hyp1", "vm1 vm3", 0);
	to = host(t, "hyp2", "vm2", 0);
	forget(t);
	t->asker = "vm1";
	announce(t, from, 1, &one, false);
	announce(t, to, 2, &one, false); /* it comes there */
	t->asker = "vm2";
	announce(t, to, 3, &two, false);
	assert_null(strstr(t->said, "REFUSED"));
	t->asker = "vm3";
	forget(t);
	announce(t, to, 4, &three, false);
	EXPECT(t, "hyp2 < registered 4 REFUSED (foreign-lid)\n");
	announced_by(t, "vm1", &one);
	announced_by(t, "vm2", &two);
	announced_by(t, "vm3", NULL);
	relay_child_gone(t->relay, from, false, t->now_ms);
	pass(t, 501);
	announced_by(t, "vm1", &one); /* still at the other */
	/* A relay that lets go does not say whose it was. */
	t->asker = NULL;
	announce(t, to, 5, &one, true);
	announced_by(t, "vm1", NULL);
	t->asker = "vm2";
	announce(t, to, 6, &one, false);
	assert_null(strstr(t->said, "registered 6 REFUSED"));
}

/* What the relay @t says in its HELLO, said to @parent by the host that it is. */
static void hello_on(struct test *t, struct test *parent)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__HostVm vm = TETHER__HOST_VM__INIT, *vms[] = {&vm};

	assert_int_equal(relay_hello_fill(t->relay, &hello), 0);
	vm.name = (char *)"vm1";
	hello.version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	hello.role = TETHER__ROLE__ROLE_HOST;
	hello.name = (char *)"hyp1";
	hello.vms = vms;
	hello.n_vms = 1;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	assert_int_equal(relay_child_frame(parent->relay, link_add(parent, NULL, "hyp1"), &frame,
	                         parent->now_ms),
	        0);
	relay_hello_clear(&hello);
}

static void a_root_that_was_started_again_is_told_whose_they_are(void **state)
{
	struct test *t = *state, *root = test_create(TETHER__ROLE__ROLE_ROOT, "");
	struct address own = at_gid(1, CONTEXT), wanted = at_gid(2, 0);
	uint32_t link = child(t, "vm1", "vm1/1.1", 0);

	announce(t, link, 1, &own, false);
	announce(t, link, 2, &wanted, false);
	hello_on(t, root);
	announced_by(root, "vm1", &own);
	assert_non_null(relay_announced(root->relay, &own));
	teardown((void **)&root);
}

static void one_that_comes_in_an_agents_hello_goes_up_as_its_vms(void **state)
{
	struct test *t = *state, *between = test_create(TETHER__ROLE__ROLE_RELAY, "rack");
	struct address own = at_gid(1, CONTEXT);
	uint32_t link = child(t, "vm1", "vm1/1.1", 0);

	announce(t, link, 1, &own, false);
	hello_on(t, between);
	assert_non_null(strstr(between->said, "> interest"));
	assert_string_equal(between->last_asker, "vm1");
	teardown((void **)&between);
}

static void what_a_process_says_at_hello_is_its_vms(void **state)
{
	struct test *t = *state;
	struct address own = at_gid(1, CONTEXT);
	uint32_t link = link_add(t, "vm1", "vm1/1.1");
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__Address address, *addresses[] = {&address};

	address_encode(&own, &address);
	address.vm = (char *)"vm2";
	hello.version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	hello.role = TETHER__ROLE__ROLE_SHIM;
	hello.name = (char *)"vm1/1.1";
	hello.addresses = addresses;
	hello.n_addresses = 1;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	assert_int_equal(relay_child_frame(t->relay, link, &frame, t->now_ms), 0);
	announced_by(t, "vm1", &own);
	announced_by(t, "vm2", NULL);
}

/* ---- who knows no names ---- */

/* What it says by GIDs is held by their names. */
static void who_knows_no_names_is_heard_by_gids(void **state)
{
	struct test *t = *state;
	struct address wanted = at_gid(2, 0), by_gid = wanted;
	uint32_t peer;

	by_gid.lid = 0;
	t->version = NAMES_SINCE - 1;
	peer = child(t, "vm2", "vm2/1.1", 0);
	announce(t, peer, 1, &by_gid, false);
	assert_non_null(strstr(t->said, "registered 1 DONE"));
	forget(t);
	EVENT(t, .second_lid = wanted.lid, .to_peers = true);
	EXPECT(t, "vm2/1.1 < STOP.1 peers\n");
}

static void told_where(struct test *t, uint32_t version, const char *expected)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	struct address wanted = at_gid(2, 0);
	struct qp_row row = {.local_lid = wanted.lid, .real_lid = at_gid(3, 0).lid};
	char name[16];
	uint32_t peer;

	t->version = version;
	t->acknowledge = false;
	snprintf(name, sizeof(name), "vm2/%u.1", version);
	peer = child(t, "vm2", name, 0);
	announce(t, peer, 1, &wanted, false);
	forget(t);
	assert_int_equal(qp_rows_append(&qps, &row), 0);
	answer.request = t->last_request;
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.qps = &qps;
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	assert_int_equal(relay_parent_frame(t->relay, &frame, t->now_ms), 0);
	EXPECT(t, expected);
	rows_clear(&qps.base);
}

static void and_is_not_sent_where_the_vm_was(void **state)
{
	told_where(*state, NAMES_SINCE - 1, "vm2/6.1 < registered 1 REFUSED (older-protocol)\n");
}

static void who_knows_names_is_told(void **state)
{
	told_where(*state, NAMES_SINCE, "vm2/7.1 < registered 1 DONE\n");
}

/* ---- events and answers ---- */

static void who_wants_a_known_name_is_concerned_and_held(void **state)
{
	struct test *t = *state;
	struct address wanted = at_gid(2, 0);
	uint32_t peer = child(t, "vm2", "vm2/1.1", 0), late = child(t, "vm3", "vm3/1.1", 0);

	announce(t, peer, 1, &wanted, false);
	forget(t);
	EVENT(t, .step = PREPARE, .second_lid = wanted.lid, .to_peers = true);
	EXPECT(t, "vm2/1.1 < PREPARE.1 peers\n");
	announce(t, late, 2, &wanted, false);
	EXPECT(t, "vm3/1.1 < registered 2 NONE\n");
}

static void row_send(struct test *t, uint32_t link, Tether__Step step, const struct address *at,
        const struct address *real)
{
	Tether__Answer answer = answer_to(step, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;
	struct qp_row row = {.local_lid = at->lid, .local_qpn = 3, .real_lid = real->lid};

	assert_int_equal(qp_rows_append(&qps, &row), 0);
	assert_int_equal(gid_rows_add(&gids, real->gid), 0);
	answer.qps = &qps;
	answer.gids = &gids;
	assert_int_equal(answer_send(t, link, &answer), 0);
	rows_clear(&qps.base);
	rows_clear(&gids.base);
}

static void gids_of_several_are_passed_up_once_each(void **state)
{
	struct test *t = *state;
	struct address one = at_gid(1, 0), real = at_gid(11, 0), other = at_gid(12, 0);
	uint32_t links[3];
	char name[16];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "vm1/%d.1", i + 1);
		links[i] = child(t, "vm1", name, 0);
	}
	EVENT(t, .step = TETHER__STEP__STEP_ATTACH, .second_lid = one.lid, .to_vm = true);
	forget(t);
	row_send(t, links[0], TETHER__STEP__STEP_ATTACH, &one, &real);
	row_send(t, links[1], TETHER__STEP__STEP_ATTACH, &one, &other);
	row_send(t, links[2], TETHER__STEP__STEP_ATTACH, &one, &real);
	assert_non_null(strstr(t->said, "> ATTACH.1 DONE"));
	assert_non_null(strstr(t->said, "qps 3 gids 2\n"));
}

static void rows_at_a_name_that_another_vm_announces_are_not_believed(void **state)
{
	struct test *t = *state;
	struct address own = at_gid(1, CONTEXT), moving = at_gid(2, 0);
	uint32_t owner = child(t, "vm2", "vm2/1.1", 0), liar = child(t, "vm3", "vm3/1.1", 0);

	announce(t, owner, 1, &own, false);
	announce(t, owner, 2, &moving, false);
	announce(t, liar, 3, &moving, false);
	EVENT(t, .step = TETHER__STEP__STEP_SETTLE, .second_lid = moving.lid, .to_peers = true);
	forget(t);
	row_send(t, liar, TETHER__STEP__STEP_PREPARE, &own, &own);
	EXPECT(t, "");
	{
		Tether__Answer answer =
		        answer_to(TETHER__STEP__STEP_SETTLE, 1, TETHER__OUTCOME__OUTCOME_DONE);
		Tether__QpRows qps = TETHER__QP_ROWS__INIT;
		struct qp_row row = {.local_lid = own.lid, .local_qpn = 3};

		assert_int_equal(qp_rows_append(&qps, &row), 0);
		answer.qps = &qps;
		assert_int_equal(answer_send(t, owner, &answer), 0);
		assert_int_equal(answer_send(t, liar, &answer), 0);
		rows_clear(&qps.base);
	}
	EXPECT(t, "> SETTLE.1 FAILED answered vm2/1.1 answered vm3/1.1 hyp1/vm3/4711 ib_write_bw "
	          "(foreign-numbers) qps 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        HOST_TEST(a_number_above_lids_has_to_be_its_gids_name),
	        HOST_TEST(it_is_one_vms_alone),
	        HOST_TEST(the_second_gid_of_a_name_is_refused),
	        ROOT_TEST(a_host_announces_for_vms_that_are_not_anothers),
	        HOST_TEST(a_root_that_was_started_again_is_told_whose_they_are),
	        HOST_TEST(one_that_comes_in_an_agents_hello_goes_up_as_its_vms),
	        HOST_TEST(what_a_process_says_at_hello_is_its_vms),
	        HOST_TEST(who_knows_no_names_is_heard_by_gids),
	        HOST_TEST(and_is_not_sent_where_the_vm_was),
	        HOST_TEST(who_knows_names_is_told),
	        HOST_TEST(who_wants_a_known_name_is_concerned_and_held),
	        HOST_TEST(gids_of_several_are_passed_up_once_each),
	        HOST_TEST(rows_at_a_name_that_another_vm_announces_are_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
