/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whose contexts, connections and rows are a moving VM's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "preload/device.h"
#include "preload/move_address.h"

enum { HOME = 5, NOW = 7, ELSEWHERE = 9, QPN = 0x40, OTHERS_QPN = 0x50 };

static const union ibv_gid vm_gid = {.raw = {0xfe, 0x80, [15] = 1}};
static const union ibv_gid other_gid = {.raw = {0xfe, 0x80, [15] = 2}};

/* As of preload/device.c, for one port. */
bool ports_have_lid(const struct port *ports, uint32_t lid)
{
	return ports->attr.lid == lid;
}

bool ports_have_gid(const struct port *ports, const union ibv_gid *gid)
{
	return !memcmp(&ports->gid, gid, sizeof(*gid));
}

static struct move move;

static void heard(Tether__Step step, bool shared_port, Tether__QpRows *qps)
{
	static uint32_t known[] = {HOME};
	Tether__Event event = TETHER__EVENT__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;

	address.lid = NOW;
	address.gid.data = (uint8_t *)vm_gid.raw;
	address.gid.len = sizeof(vm_gid);
	event.step = step;
	event.address = &address;
	event.shared_port = shared_port;
	event.known_lids = known;
	event.n_known_lids = shared_port;
	event.qps = qps;
	assert_int_equal(move_address_take(&move, &event), 0);
	assert_true(move_address_is(&move, &event));
}

static void heard_its_queue_pairs(void)
{
	Tether__QpRows qps = TETHER__QP_ROWS__INIT;

	qp_rows_append(&qps, &(struct qp_row){.local_lid = HOME, .local_qpn = QPN, .of_vm = 1});
	qp_rows_append(&qps, &(struct qp_row){.local_lid = HOME, .local_qpn = OTHERS_QPN});
	heard(TETHER__STEP__STEP_STOP, true, &qps);
	rows_clear(&qps.base);
}

static int setup(void **state)
{
	move = (struct move){0};
	return 0;
}

static int teardown(void **state)
{
	move_address_clear(&move);
	return 0;
}

static struct port port_at(uint16_t lid, const union ibv_gid *gid)
{
	return (struct port){.attr.lid = lid, .gid = *gid, .known = true};
}

static struct remote remote(uint32_t lid, uint32_t qpn)
{
	return (struct remote){.lid = lid, .qpn = qpn, .real_lid = lid, .real_qpn = qpn};
}

static void a_neighbours_context_has_its_lid_and_is_not_its(void **state)
{
	struct port vms = port_at(HOME, &vm_gid), neighbours = port_at(NOW, &other_gid);

	heard(TETHER__STEP__STEP_PREPARE, true, NULL);
	assert_true(move_has_ports(&move, &vms));
	assert_false(move_has_ports(&move, &neighbours));
}

static void behind_a_vswitch_the_lid_says_it(void **state)
{
	struct port vms = port_at(NOW, &other_gid);
	struct remote to = remote(NOW, OTHERS_QPN), elsewhere = remote(HOME, QPN);

	heard(TETHER__STEP__STEP_PREPARE, false, NULL);
	assert_true(move_has_ports(&move, &vms));
	assert_true(move_has_remote(&move, &to));
	assert_false(move_has_remote(&move, &elsewhere));
}

static void who_may_be_meant_is_until_stop_says_who_is(void **state)
{
	struct remote to = remote(HOME, QPN), neighbour = remote(HOME, OTHERS_QPN);
	struct remote at_new_lid = remote(NOW, QPN), elsewhere = remote(ELSEWHERE, QPN);

	heard(TETHER__STEP__STEP_PREPARE, true, NULL);
	assert_true(move_has_remote(&move, &to) && move_has_remote(&move, &neighbour));
	assert_false(move_has_remote(&move, &elsewhere));
	heard_its_queue_pairs();
	assert_true(move_has_remote(&move, &to));
	assert_false(move_has_remote(&move, &neighbour));
	assert_false(move_has_remote(&move, &at_new_lid));
}

static void rows_are_its_that_say_so(void **state)
{
	struct qp_row its = {.local_lid = HOME, .of_vm = 1}, neighbours = {.local_lid = NOW};

	heard(TETHER__STEP__STEP_PREPARE, true, NULL);
	assert_true(move_has_row(&move, &its));
	assert_false(move_has_row(&move, &neighbours));
}

/* What has been stopped is let go. */
static void its_lids_stay_the_same_from_stop_on(void **state)
{
	static uint32_t others[] = {ELSEWHERE};
	Tether__Event event = TETHER__EVENT__INIT;

	heard(TETHER__STEP__STEP_STOP, true, NULL);
	move.state = MOVE_STOPPED;
	event.shared_port = true;
	event.known_lids = others;
	event.n_known_lids = 1;
	assert_int_equal(move_address_take(&move, &event), 0);
	assert_true(move_has_lid(&move, HOME) && move_has_lid(&move, NOW));
	assert_false(move_has_lid(&move, ELSEWHERE));
}

static int note(struct move *moving, uint32_t lid, void *owner)
{
	uint32_t *lids = owner;

	while (*lids)
		lids++;
	*lids = lid;
	return 0;
}

static void each_lid_of_before_and_after_comes_once(void **state)
{
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;
	uint32_t lids[8] = {0};

	heard(TETHER__STEP__STEP_PREPARE, true, NULL);
	for (int i = 0; i < 2; i++)
		qp_rows_append(&rows,
		        &(struct qp_row){.local_lid = HOME, .real_lid = ELSEWHERE, .of_vm = 1});
	qp_rows_append(&rows, &(struct qp_row){.local_lid = 30, .real_lid = 31});
	assert_int_equal(move_each_lid_in(&move, &rows, note, lids), 0);
	assert_int_equal(lids[0], NOW);
	assert_int_equal(lids[1], HOME);
	assert_int_equal(lids[2], ELSEWHERE);
	assert_int_equal(lids[3], 0);
	rows_clear(&rows.base);
}

/* Two VFs, at NOW and at HOME. */
static void heard_of_two_vfs(Tether__Step step)
{
	static uint32_t other[] = {HOME};
	Tether__Event event = TETHER__EVENT__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;

	address.lid = NOW;
	event.step = step;
	event.address = &address;
	event.known_lids = other;
	event.n_known_lids = 1;
	assert_int_equal(move_address_take(&move, &event), 0);
	/* Whichever of them leads. */
	address.lid = HOME;
	assert_true(move_address_is(&move, &event));
	address.lid = ELSEWHERE;
	assert_false(move_address_is(&move, &event));
}

static void of_two_vfs_each_is_the_vms(void **state)
{
	struct port first = port_at(NOW, &vm_gid), second = port_at(HOME, &other_gid);
	struct port anothers = port_at(ELSEWHERE, &vm_gid);
	struct remote to_first = remote(NOW, QPN), to_second = remote(HOME, QPN);
	struct remote elsewhere = remote(ELSEWHERE, QPN);
	struct qp_row its = {.local_lid = HOME}, anothers_row = {.local_lid = ELSEWHERE};
	uint32_t lids[8] = {0};

	heard_of_two_vfs(TETHER__STEP__STEP_PREPARE);
	assert_true(move_has_several_vfs(&move));
	assert_true(move_has_ports(&move, &first) && move_has_ports(&move, &second));
	assert_false(move_has_ports(&move, &anothers));
	assert_true(move_has_remote(&move, &to_first) && move_has_remote(&move, &to_second));
	assert_false(move_has_remote(&move, &elsewhere));
	assert_true(move_has_row(&move, &its));
	assert_false(move_has_row(&move, &anothers_row));
	assert_int_equal(move_each_lid(&move, note, lids), 0);
	assert_int_equal(lids[0], NOW);
	assert_int_equal(lids[1], HOME);
	assert_int_equal(lids[2], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_neighbours_context_has_its_lid_and_is_not_its),
	        TEST(behind_a_vswitch_the_lid_says_it),
	        TEST(who_may_be_meant_is_until_stop_says_who_is),
	        TEST(rows_are_its_that_say_so),
	        TEST(its_lids_stay_the_same_from_stop_on),
	        TEST(each_lid_of_before_and_after_comes_once),
	        TEST(of_two_vfs_each_is_the_vms),
	};

	return cmocka_run_group_tests_name("shim_move_address", tests, NULL, NULL);
}
