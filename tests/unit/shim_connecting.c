/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Connections that are being made while one of their ends is asked to move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

/* A deadlock ends the program: the rest of the tests cannot run in it. */
enum { DEADLOCK_S = 20 };

static struct harness harness;
static unsigned registrations;

static int setup(void **state)
{
	memset(&harness, 0, sizeof(harness));
	registrations = 0;
	harness_interest = harness_announced = harness_contexts = 0;
	harness_open(&harness);
	end_create_qp(&harness.vm, &harness);
	end_create_qp(&harness.peer, &harness);
	*state = &harness;
	alarm(DEADLOCK_S);
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	harness_registering = NULL;
	harness_close(*state);
	assert_int_equal(harness_interest, 0);
	assert_int_equal(harness_contexts, 0);
	return 0;
}

static void carries_data(struct harness *h, struct end *from, struct end *to, uint64_t wr_id)
{
	assert_int_equal(end_rdma(from, to, IBV_WR_RDMA_WRITE, wr_id, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(fake_execute(real_of(from->qp), 9, true), 1);
	assert_int_equal(harness_poll(h, from), 1);
	assert_int_equal(h->wc[0].wr_id, wr_id);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
}

static size_t pairs_in(const Tether__Answer *answer)
{
	return answer->qps ? answer->qps->n_local_qpn : 0;
}

/* What the root tells of a VM that has moved. */
static void answer_with_new_numbers(struct remote *remote, const struct end *vm)
{
	const struct context *context = context_of(vm->context);

	remote->real_qpn = real_of(vm->qp)->qp_num;
	remote->keys = remote_keys_of(FAKE_LID_VM, context->number);
	assert_int_equal(number_table_set(&remote->keys->keys, vm->mr->rkey,
	                         memory_region_of(vm->mr)->real->rkey),
	        0);
}

/* Its first registration was answered before PREPARE; the agent holds the second until RESUME. */
static void peer_registers_while_the_vm_moves(struct remote *remote)
{
	struct harness *h = &harness;

	switch (++registrations) {
	case 1:
		harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
		assert_int_equal(pairs_in(h->answer), 0);
		break;
	case 2:
		harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
		harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
		assert_int_equal(pairs_in(h->settled), 0);
		harness_go_on(h);
		answer_with_new_numbers(remote, &h->vm);
		break;
	}
}

static void peer_that_registered_before_the_move_asks_again(void **state)
{
	struct harness *h = *state;

	harness_registering = peer_registers_while_the_vm_moves;
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
	assert_int_equal(registrations, 2);
	harness_registering = NULL;
	end_connect(&h->vm, &h->peer, FAKE_LID_PEER);
	assert_int_not_equal(real_of(h->vm.qp)->qp_num, h->vm.qp->qp_num);
	assert_int_equal(harness_interest, 2);
	carries_data(h, &h->peer, &h->vm, 1);
	carries_data(h, &h->vm, &h->peer, 2);
}

/* The VM's own: held by its agent in the same way, and by its phase from STOP on. */
static void vm_registers_while_it_is_asked_to_move(struct remote *remote)
{
	struct harness *h = &harness;

	if (++registrations == 1)
		harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	else if (registrations == 2)
		harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
}

static void vm_that_registered_before_the_move_asks_again(void **state)
{
	struct harness *h = *state;

	harness_registering = vm_registers_while_it_is_asked_to_move;
	end_connect(&h->vm, &h->peer, FAKE_LID_PEER);
	assert_int_equal(registrations, 2);
	harness_registering = NULL;
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
	carries_data(h, &h->vm, &h->peer, 1);
}

/* Asked for the second time in vain: the first answer would have been of the past, too. */
static void peer_registers_while_the_vm_moves_twice(struct remote *remote)
{
	struct harness *h = &harness;

	if (++registrations <= 2)
		harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	if (registrations <= 2)
		harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
}

static void each_migration_that_begins_makes_it_ask_again(void **state)
{
	struct harness *h = *state;

	harness_registering = peer_registers_while_the_vm_moves_twice;
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
	assert_int_equal(registrations, 3);
	harness_registering = NULL;
	end_connect(&h->vm, &h->peer, FAKE_LID_PEER);
	carries_data(h, &h->vm, &h->peer, 1);
}

static void connection_without_a_move_registers_once(void **state)
{
	struct harness *h = *state;

	harness_registering = vm_registers_while_it_is_asked_to_move;
	registrations = 2;
	end_connect(&h->vm, &h->peer, FAKE_LID_PEER);
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
	assert_int_equal(registrations, 4);
}

static void move_connected(struct harness *h)
{
	end_connect(&h->vm, &h->peer, FAKE_LID_PEER);
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
	harness_move(h);
}

/* The root knows its numbers for as long as it is there. */
static void context_that_has_moved_is_announced_once(void **state)
{
	struct harness *h = *state;

	assert_int_equal(harness_contexts, 0);
	move_connected(h);
	assert_int_equal(harness_contexts, 1);
	harness_move(h);
	assert_int_equal(harness_contexts, 1);
	/* And withdrawn with its end, see teardown. */
}

/* Peers find the keys of its context only if they are told which one it is of. */
static void queue_pair_made_after_a_move_is_announced(void **state)
{
	struct harness *h = *state;
	struct end late = h->vm;

	move_connected(h);
	end_create_qp(&late, h);
	assert_int_equal(harness_announced, 1);
	assert_int_equal(ibv_destroy_qp(late.qp), 0);
	assert_int_equal(harness_announced, 0);
	/* The peer has not moved. */
	late = h->peer;
	end_create_qp(&late, h);
	assert_int_equal(harness_announced, 0);
	assert_int_equal(ibv_destroy_qp(late.qp), 0);
}

/* Whoever is given its number next announces it, perhaps at once. */
static void queue_pair_is_withdrawn_before_the_device_gives_its_number_away(void **state)
{
	struct harness *h = *state;
	struct end late = h->vm;
	int live;

	move_connected(h);
	end_create_qp(&late, h);
	live = fake.live_objects;
	assert_int_equal(ibv_destroy_qp(late.qp), 0);
	assert_int_equal(harness_live_at_withdrawal, live);
	assert_int_equal(fake.live_objects, live - 1);
}

static void queue_pair_that_cannot_be_announced_is_not_made(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr attr = {.send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	int live;

	move_connected(h);
	live = fake.live_objects;
	harness_announce_error = -ENOMEM;
	assert_null(ibv_create_qp(h->vm.pd, &attr));
	assert_int_equal(errno, ENOMEM);
	harness_announce_error = 0;
	assert_int_equal(fake.live_objects, live);
	assert_int_equal(harness_announced, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(peer_that_registered_before_the_move_asks_again),
	        TEST(vm_that_registered_before_the_move_asks_again),
	        TEST(each_migration_that_begins_makes_it_ask_again),
	        TEST(context_that_has_moved_is_announced_once),
	        TEST(queue_pair_made_after_a_move_is_announced),
	        TEST(queue_pair_is_withdrawn_before_the_device_gives_its_number_away),
	        TEST(queue_pair_that_cannot_be_announced_is_not_made),
	        TEST(connection_without_a_move_registers_once),
	};

	return cmocka_run_group_tests_name("shim_connecting", tests, NULL, NULL);
}
