/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whoever tells of queue pairs at a LID that is not of his VM is not believed. */
#include "tests/unit/relay_harness.h"

#include "notifier/relay/lid_claims.h"

enum { OWN = 5, OTHERS = 6, NOBODYS = 7 };

static const struct row {
	const char *what;
	uint32_t own; /* LID of vm1; 0: the SM knows none */
	bool unlocated, shared_port;
	uint32_t lid;
	bool foreign;
} rows[] = {
        {"its own", OWN, false, false, OWN, false},
        {"another's", OWN, false, false, OTHERS, true},
        {"nobody's, and it has one", OWN, false, false, NOBODYS, true},
        {"none", OWN, false, false, 0, false},
        {"another's, before the SM was asked", 0, true, false, OTHERS, true},
        {"nobody's, before the SM was asked", 0, true, false, NOBODYS, false},
        {"nobody's, where it is nowhere", 0, false, false, NOBODYS, false},
        {"one that it had, of a shared port", OWN, false, true, NOBODYS, false},
        {"another's, from a shared port", OWN, false, true, OTHERS, true},
};

static void announces(
        struct test *t, uint32_t link, uint32_t request, const char *vm, uint32_t lid, bool drop)
{
	struct address own = {.lid = (uint16_t)lid, .qpn = 17, .context = 3};

	if (!lid)
		own.gid[0] = 0xfe;
	t->asker = vm;
	announce(t, link, request, &own, drop);
}

static void announced_at_its_own_lid_only(const struct row *row, Tether__Role role)
{
	struct test *t = test_create(role, role == TETHER__ROLE__ROLE_HOST ? "hyp1" : "");
	uint32_t link;

	print_message("# %s\n", row->what);
	PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {row->own}, .unlocated = row->unlocated,
	        .shared_port = row->shared_port);
	/* At a host, another VM that is here; at the root, one of another host. */
	PLACE(t, .vm = "vm2", .host = role == TETHER__ROLE__ROLE_HOST ? "hyp1" : "hyp2",
	        .lids = {OTHERS});
	link = role == TETHER__ROLE__ROLE_HOST ? child(t, "vm1", "vm1/1.1", 0)
	                                       : host(t, "hyp1", "vm1", 0);
	forget(t);
	announces(t, link, 1, "vm1", row->lid, false);
	assert_int_equal(strstr(t->said, "REFUSED (foreign-lid)") != NULL, row->foreign);
	assert_int_equal(strstr(t->said, "> interest") == NULL, row->foreign);
	assert_int_equal(relay_counts(t->relay).foreign_lids, row->foreign);
	teardown((void **)&t);
}

static void announcements_are_of_its_own_lid(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		announced_at_its_own_lid_only(&rows[i], TETHER__ROLE__ROLE_HOST);
		announced_at_its_own_lid_only(&rows[i], TETHER__ROLE__ROLE_ROOT);
	}
}

/* What somebody else announces there stays as it was. */
static void liar_changes_nothing_of_anothers(void **state)
{
	struct test *t = *state;
	struct address qp = {.lid = OWN, .qpn = 17, .context = 3}, lie = qp;
	uint32_t owner, liar;

	lie.context = 4;
	PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {OWN});
	PLACE(t, .vm = "vm2", .host = "hyp2", .lids = {OTHERS});
	owner = host(t, "hyp1", "vm1", 0);
	liar = host(t, "hyp2", "vm2 vm1", 0);
	announce(t, owner, 1, &qp, false);
	t->asker = "vm1";
	announce(t, liar, 1, &lie, false);
	announce(t, liar, 2, &qp, true);
	assert_int_equal(relay_announced(t->relay, &qp)->context, 3);
}

/* A host's, with one VM and two announcements. */
static void hello_announces(struct test *t, uint32_t link, const struct address said[2])
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__Address wire[2], *addresses[] = {&wire[0], &wire[1]};
	Tether__HostVm vm = TETHER__HOST_VM__INIT, *vms[] = {&vm};

	address_encode(&said[0], &wire[0]);
	address_encode(&said[1], &wire[1]);
	vm.name = (char *)"vm1";
	hello.version = t->version;
	hello.role = TETHER__ROLE__ROLE_HOST;
	hello.name = (char *)"hyp1";
	hello.vms = vms;
	hello.n_vms = 1;
	hello.addresses = addresses;
	hello.n_addresses = 2;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	assert_int_equal(relay_child_frame(t->relay, link, &frame, t->now_ms), 0);
}

static const struct address own_and_anothers[] = {
        {.lid = OWN, .qpn = 17, .context = 3}, {.lid = OTHERS, .qpn = 17, .context = 3}};

static void announcement_in_hello_is_left_out(void **state)
{
	struct test *t = *state;

	PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {OWN});
	PLACE(t, .vm = "vm2", .host = "hyp2", .lids = {OTHERS});
	hello_announces(t, link_add(t, NULL, "hyp1"), own_and_anothers);
	assert_non_null(relay_announced(t->relay, &own_and_anothers[0]));
	assert_null(relay_announced(t->relay, &own_and_anothers[1]));
	assert_int_equal(relay_counts(t->relay).foreign_lids, 1);
}

static void what_was_believed_before_is_left_out_of_the_next_hello(void **state)
{
	struct test *t = *state;
	uint32_t link = link_add(t, NULL, "hyp1");

	hello_announces(t, link, own_and_anothers);
	assert_non_null(relay_announced(t->relay, &own_and_anothers[1]));
	PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {OWN});
	relay_child_gone(t->relay, link, false, t->now_ms);
	hello_announces(t, link_add(t, NULL, "hyp1"), own_and_anothers);
	assert_non_null(relay_announced(t->relay, &own_and_anothers[0]));
	assert_null(relay_announced(t->relay, &own_and_anothers[1]));
}

/* A table of one row. */
static void row_send(struct test *t, uint32_t link, bool evidence, uint32_t lid)
{
	Tether__Answer answer =
	        answer_to(TETHER__STEP__STEP_SETTLE, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__EvidenceRows rows_said = TETHER__EVIDENCE_ROWS__INIT;
	struct qp_row pair = {.local_lid = lid, .local_qpn = 3};
	struct evidence_row said = {.local_lid = lid, .local_qpn = 3};

	assert_int_equal(
	        evidence ? evidence_rows_append(&rows_said, &said) : qp_rows_append(&qps, &pair),
	        0);
	answer.qps = evidence ? NULL : &qps;
	answer.evidence = evidence ? &rows_said : NULL;
	assert_int_equal(answer_send(t, link, &answer), 0);
	rows_clear(&qps.base);
	rows_clear(&rows_said.base);
}

/* It goes on with the LID that it had when it began, or is at another port: at its host, and at the
 * root. Announcements are made anew for each LID. */
static void rows_at_a_lid_that_is_nobodys_are_no_lie(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		bool evidence = i & 1, at_host = i & 2;
		struct test *t =
		        test_create(at_host ? TETHER__ROLE__ROLE_HOST : TETHER__ROLE__ROLE_ROOT,
		                at_host ? "hyp1" : "");
		uint32_t link;

		PLACE(t, .vm = "vm1", .host = "hyp1", .lids = {OWN});
		PLACE(t, .vm = "vm3", .host = "hyp3", .lids = {OTHERS});
		link = at_host ? child(t, "vm1", "vm1/1.1", 0) : host(t, "hyp1", "vm1", 0);
		EVENT(t, .vm = "vm1", .lid = OWN, .to_vm = true, .step = TETHER__STEP__STEP_SETTLE);
		forget(t);
		row_send(t, link, evidence, NOBODYS);
		assert_null(strstr(t->said, "foreign-numbers"));
		assert_non_null(strstr(t->said, "> SETTLE.1 DONE"));
		assert_int_equal(relay_counts(t->relay).foreign_claims, 0);
		announces(t, link, 1, "vm1", NOBODYS, false);
		assert_non_null(strstr(t->said, "REFUSED (foreign-lid)"));
		teardown((void **)&t);
	}
}

/* A peer's rows: of its own LID, or of a third's. A host that tells of the latter speaks for
 * others, too, and may not know whose they are: only those rows do not count. */
static void rows_are_of_its_own_lid(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		bool evidence = i & 1, lies = i & 2;
		struct test *t = test_create(TETHER__ROLE__ROLE_ROOT, "");
		uint32_t peer;

		PLACE(t, .vm = "vm2", .host = "hyp2", .lids = {OWN});
		PLACE(t, .vm = "vm3", .host = "hyp3", .lids = {OTHERS});
		peer = host(t, "hyp2", "vm2", 9);
		EVENT(t, .vm = "vm1", .lid = 9, .to_peers = true,
		        .step = TETHER__STEP__STEP_SETTLE);
		forget(t);
		row_send(t, peer, evidence, lies ? OTHERS : OWN);
		assert_string_equal(t->said, lies       ? "> SETTLE.1 DONE\n"
		                             : evidence ? "> SETTLE.1 DONE evidence 1\n"
		                                        : "> SETTLE.1 DONE qps 1\n");
		assert_int_equal(relay_counts(t->relay).foreign_claims, lies);
		teardown((void **)&t);
	}
}

/* Its process speaks for itself alone, and its host knows whose that LID is. */
static void process_that_tells_of_another_vm_is_not_believed(void **state)
{
	for (unsigned evidence = 0; evidence < 2; evidence++) {
		struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
		uint32_t link;

		PLACE(t, .vm = "vm2", .host = "hyp1", .lids = {OWN});
		PLACE(t, .vm = "vm3", .host = "hyp1", .lids = {OTHERS});
		t->acknowledge = true;
		link = child(t, "vm2", "vm2/1.1", 9);
		EVENT(t, .vm = "vm1", .lid = 9, .to_peers = true,
		        .step = TETHER__STEP__STEP_SETTLE);
		forget(t);
		row_send(t, link, evidence, OTHERS);
		assert_non_null(strstr(t->said, " FAILED"));
		assert_non_null(strstr(t->said, "(foreign-numbers)"));
		assert_int_equal(relay_counts(t->relay).foreign_claims, 1);
		teardown((void **)&t);
	}
}

/* Both hosts of a VM that moves, and each VM of a host. */
static void host_speaks_for_all_its_vms(void **state)
{
	struct test *t = *state;
	uint32_t from, to;

	PLACE(t, .vm = "vm1", .host = "hyp1", .next = "hyp2", .lids = {OWN});
	PLACE(t, .vm = "vm2", .host = "hyp2", .lids = {OTHERS});
	from = host(t, "hyp1", "vm1", 0);
	to = host(t, "hyp2", "vm2", 0);
	forget(t);
	announces(t, from, 1, "vm1", OWN, false);
	announces(t, to, 2, "vm1", OWN, false);
	announces(t, to, 3, "", OTHERS, false);
	assert_null(strstr(t->said, "REFUSED"));
	announces(t, to, 4, "vm2", OWN, false);
	assert_non_null(strstr(t->said, "hyp2 < registered 4 REFUSED (foreign-lid)\n"));
}

/* Under Shared Port it is known by a LID that it has no more. */
static void host_whose_vm_has_just_left_still_tells_of_it(void **state)
{
	struct test *t = *state;
	uint32_t from;

	PLACE(t, .vm = "vm1", .host = "hyp1", .next = "hyp2", .lids = {OWN}, .shared_port = true);
	from = host(t, "hyp1", "", 0);
	forget(t);
	announces(t, from, 1, "vm1", NOBODYS, false);
	assert_null(strstr(t->said, "REFUSED"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(announcements_are_of_its_own_lid),
	        ROOT_TEST(liar_changes_nothing_of_anothers),
	        ROOT_TEST(announcement_in_hello_is_left_out),
	        ROOT_TEST(what_was_believed_before_is_left_out_of_the_next_hello),
	        cmocka_unit_test(rows_at_a_lid_that_is_nobodys_are_no_lie),
	        cmocka_unit_test(rows_are_of_its_own_lid),
	        cmocka_unit_test(process_that_tells_of_another_vm_is_not_believed),
	        ROOT_TEST(host_speaks_for_all_its_vms),
	        ROOT_TEST(host_whose_vm_has_just_left_still_tells_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
