/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Children that tell of somebody else's queue pairs: not believed, named and counted. */
#include "tests/unit/relay_harness.h"

enum { LID = 7 };

/* One row of one table. */
struct lie {
	bool of_vm;
	uint32_t local_lid;
	enum { PAIRS, EVIDENCE, KEYS } table;
};

static void lie_send(struct test *t, uint32_t link, Tether__Step step, const struct lie *lie)
{
	Tether__Answer answer = answer_to(step, 1, TETHER__OUTCOME__OUTCOME_DONE);
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;
	Tether__EvidenceRows evidence = TETHER__EVIDENCE_ROWS__INIT;
	Tether__KeyRows keys = TETHER__KEY_ROWS__INIT;
	struct qp_row pair = {.local_lid = lie->local_lid, .local_qpn = 3, .of_vm = lie->of_vm};
	struct evidence_row said = {.local_lid = lie->local_lid, .local_qpn = 3};
	struct key_row key = {.context = 1};

	if (lie->table == PAIRS)
		assert_int_equal(qp_rows_append(&qps, &pair), 0);
	else if (lie->table == EVIDENCE)
		assert_int_equal(evidence_rows_append(&evidence, &said), 0);
	else
		assert_int_equal(key_rows_append(&keys, &key), 0);
	answer.qps = lie->table == PAIRS ? &qps : NULL;
	answer.evidence = lie->table == EVIDENCE ? &evidence : NULL;
	answer.keys = lie->table == KEYS ? &keys : NULL;
	assert_int_equal(answer_send(t, link, &answer), 0);
	rows_clear(&qps.base);
	rows_clear(&evidence.base);
	rows_clear(&keys.base);
}

struct row {
	const char *what;
	Tether__Step step;
	bool in_vm; /* who says it is of the VM that moves */
	struct lie lie;
	bool believed;
};

static const struct row rows[] = {
        {"a peer's own", TETHER__STEP__STEP_SETTLE, false, {.local_lid = 9}, true},
        {"the VM's, by a peer", TETHER__STEP__STEP_SETTLE, false, {.local_lid = LID}, false},
        {"one that moves, by a peer", TETHER__STEP__STEP_PREPARE, false,
                {.local_lid = 9, .of_vm = true}, false},
        {"the VM's evidence, by a peer", TETHER__STEP__STEP_SETTLE, false,
                {.local_lid = LID, .table = EVIDENCE}, false},
        {"a peer's own evidence", TETHER__STEP__STEP_SETTLE, false,
                {.local_lid = 9, .table = EVIDENCE}, true},
        {"the VM's keys, by a peer", TETHER__STEP__STEP_RECONNECT, false, {.table = KEYS}, false},
        {"the VM's, by the VM", TETHER__STEP__STEP_ATTACH, true, {.local_lid = LID, .of_vm = true},
                true},
        {"another's as if it moved, by the VM", TETHER__STEP__STEP_ATTACH, true,
                {.local_lid = 9, .of_vm = true}, false},
        {"another port's, by the VM", TETHER__STEP__STEP_PREPARE, true, {.local_lid = 9}, true},
        {"the VM's keys, by the VM", TETHER__STEP__STEP_ATTACH, true, {.table = KEYS}, true},
        {"the VM's evidence, by the VM", TETHER__STEP__STEP_SETTLE, true,
                {.local_lid = LID, .table = EVIDENCE}, true},
};

static void believed_of_its_own_only(const struct row *row)
{
	struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
	uint32_t peer, vm;

	print_message("# %s\n", row->what);
	t->acknowledge = true;
	vm = child(t, "vm1", "vm1/1.1", 0);
	peer = child(t, "vm2", "vm2/1.1", LID);
	EVENT(t, .vm = "vm1", .lid = LID, .to_vm = true, .to_peers = true, .step = row->step);
	done(t, row->in_vm ? peer : vm, row->step, 1);
	forget(t);
	lie_send(t, row->in_vm ? vm : peer, row->step, &row->lie);
	assert_int_equal(!strstr(t->said, "foreign-numbers"), row->believed);
	if (!row->believed)
		assert_non_null(strstr(t->said, row->in_vm ? " hyp1/vm1/" : " hyp1/vm2/"));
	assert_non_null(strstr(t->said, row->believed ? " DONE" : " FAILED"));
	assert_int_equal(relay_counts(t->relay).foreign_claims, !row->believed);
	teardown((void **)&t);
}

static void rows_are_believed_of_whose_they_are(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		believed_of_its_own_only(&rows[i]);
}

/* A host has peers beside the VM, and rows of both; one without the VM has none of its. */
static void host_tells_of_the_vm_if_it_has_it(void **state)
{
	static const struct lie lie = {.local_lid = LID, .of_vm = true};
	struct test *t = *state;
	uint32_t has = host(t, "hyp1", "vm1", 0), has_not = host(t, "hyp2", "vm2", LID);

	EVENT(t, .vm = "vm1", .lid = LID, .to_vm = true, .to_peers = true,
	        .step = TETHER__STEP__STEP_SETTLE);
	forget(t);
	lie_send(t, has, TETHER__STEP__STEP_SETTLE, &lie);
	EXPECT(t, "");
	lie_send(t, has_not, TETHER__STEP__STEP_SETTLE, &lie);
	EXPECT(t, "> SETTLE.1 FAILED hyp2 (foreign-numbers) qps 1\n");
}

/* Its LID is others', too. */
static void lid_of_a_shared_port_is_nobodys_alone(void **state)
{
	static const struct lie lie = {.local_lid = LID};
	struct test *t = *state;
	uint32_t other = host(t, "hyp2", "vm2", LID);

	EVENT(t, .vm = "vm1", .lid = LID, .to_peers = true, .step = TETHER__STEP__STEP_SETTLE,
	        .known_lid = 8);
	forget(t);
	lie_send(t, other, TETHER__STEP__STEP_SETTLE, &lie);
	EXPECT(t, "> SETTLE.1 DONE qps 1\n");
}

enum { SECOND_LID = 8 };

/* Rows at either LID are its own; who has interest in the one that is not the address is a peer. */
static void of_two_vfs_rows_at_each_are_the_vms(void **state)
{
	static const struct lie own = {.local_lid = SECOND_LID, .of_vm = true};
	static const struct lie stolen = {.local_lid = SECOND_LID};
	static const struct lie stolen_evidence = {.local_lid = SECOND_LID, .table = EVIDENCE};
	struct test *t = test_create(TETHER__ROLE__ROLE_HOST, "hyp1");
	uint32_t vm, peer, other;

	t->acknowledge = true;
	vm = child(t, "vm1", "vm1/1.1", 0);
	peer = child(t, "vm2", "vm2/1.1", SECOND_LID);
	other = child(t, "vm3", "vm3/1.1", SECOND_LID);
	EVENT(t, .vm = "vm1", .lid = LID, .second_lid = SECOND_LID, .to_vm = true, .to_peers = true,
	        .step = TETHER__STEP__STEP_SETTLE);
	forget(t);
	lie_send(t, vm, TETHER__STEP__STEP_SETTLE, &own);
	lie_send(t, peer, TETHER__STEP__STEP_SETTLE, &stolen);
	lie_send(t, other, TETHER__STEP__STEP_SETTLE, &stolen_evidence);
	assert_int_equal(relay_counts(t->relay).foreign_claims, 2);
	assert_null(strstr(t->said, " hyp1/vm1/"));
	teardown((void **)&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rows_are_believed_of_whose_they_are),
	        ROOT_TEST(host_tells_of_the_vm_if_it_has_it),
	        ROOT_TEST(lid_of_a_shared_port_is_nobodys_alone),
	        cmocka_unit_test(of_two_vfs_rows_at_each_are_the_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
