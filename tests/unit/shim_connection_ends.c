/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the two ends of a connection of rdma_cm hear when one of them moves: nothing; and when one
 * is let go of later, what they would have heard without a move. Each from both sides.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "preload/connection_ends.h"
#include "tests/unit/shim_connections.h"

/* What a kernel makes of the other end's device that goes, where it can still take leave. */
static void leave_is_taken(struct connection *c)
{
	fake_rdmacm_tell(c->ids[OF_PEER], RDMA_CM_EVENT_DISCONNECTED);
	fake_rdmacm_tell(c->ids[OF_PEER], RDMA_CM_EVENT_TIMEWAIT_EXIT);
}

static void nothing_is_heard(struct connection *c)
{
	event_none(c->channels[OF_VM]);
	event_none(c->channels[OF_PEER]);
}

static void a_move_is_not_heard(void **state)
{
	struct connection *c = *state;

	for (int moves = 0; moves < 3; moves++) {
		connection_move(c);
		leave_is_taken(c);
		nothing_is_heard(c);
		connection_lives(c);
	}
	assert_int_equal(harness_partings, 0);
	assert_int_equal(fake_rdmacm.disconnects, 0);
}

/* Where the kernel keeps the id at the program's channel it is heard and left out. */
static void a_move_is_left_out_where_it_is_heard(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_event *event;

	fake_rdmacm.migrates_nothing = true;
	connection_move(c);
	leave_is_taken(c);
	for (int side = 0; side < SIDES; side++) {
		assert_int_equal(rdma_get_cm_event(c->channels[side], &event), -1);
		assert_int_equal(errno, EAGAIN);
	}
	nothing_is_heard(c);
	connection_lives(c);
}

static void an_event_that_is_held_is_not_waited_for(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_event *held;

	fake_rdmacm_tell(c->ids[OF_VM], RDMA_CM_EVENT_ADDR_CHANGE);
	assert_int_equal(rdma_get_cm_event(c->channels[OF_VM], &held), 0);
	connection_move(c);
	assert_int_equal(
	        rdma_get_cm_event(c->channels[OF_VM], &(struct rdma_cm_event *){NULL}), -1);
	nothing_is_heard(c);
	assert_int_equal(rdma_ack_cm_event(held), 0);
}

static void end_is_heard(struct connection *c, int side)
{
	event_expect(c->channels[side], c->ids[side], RDMA_CM_EVENT_DISCONNECTED);
	event_expect(c->channels[side], c->ids[side], RDMA_CM_EVENT_TIMEWAIT_EXIT);
	event_none(c->channels[side]);
}

static void disconnect_arrives(struct connection *c, int side)
{
	struct ibv_qp *qp = c->ids[side]->qp;

	connection_move(c);
	assert_int_equal(rdma_disconnect(c->ids[side]), 0);
	assert_int_equal(qp->state, IBV_QPS_ERR);
	assert_int_equal(fake_rdmacm.disconnects, 0);
	end_is_heard(c, side);
	end_is_heard(c, !side);
	/* As the other end does then. */
	assert_int_equal(rdma_disconnect(c->ids[!side]), 0);
	assert_int_equal(rdma_disconnect(c->ids[side]), 0);
	nothing_is_heard(c);
}

static void a_later_disconnect_of_the_vm_arrives(void **state)
{
	disconnect_arrives(*state, OF_VM);
}

static void a_later_disconnect_of_the_peer_arrives(void **state)
{
	disconnect_arrives(*state, OF_PEER);
}

static void destroying_arrives(struct connection *c, int side)
{
	connection_move(c);
	assert_int_equal(rdma_destroy_id(c->ids[side]), 0);
	c->ids[side] = NULL;
	event_none(c->channels[side]);
	end_is_heard(c, !side);
}

static void a_later_end_of_the_vms_id_arrives(void **state)
{
	destroying_arrives(*state, OF_VM);
}

static void a_later_end_of_the_peers_id_arrives(void **state)
{
	destroying_arrives(*state, OF_PEER);
}

static void with_its_queue_pair_too(void **state)
{
	struct connection *c = *state;

	connection_move(c);
	rdma_destroy_ep(c->ids[OF_PEER]);
	c->ids[OF_PEER] = NULL;
	end_is_heard(c, OF_VM);
}

static void before_a_move_the_kernel_disconnects(void **state)
{
	struct connection *c = *state;

	for (int side = 0; side < SIDES; side++) {
		assert_int_equal(rdma_disconnect(c->ids[side]), 0);
		assert_int_equal(fake_rdmacm.disconnects, side + 1);
		event_none(c->channels[side]);
		fake_rdmacm_tell(c->ids[side], RDMA_CM_EVENT_DISCONNECTED);
		event_expect(c->channels[side], c->ids[side], RDMA_CM_EVENT_DISCONNECTED);
	}
	assert_int_equal(harness_partings, 0);
}

static void an_aborted_move_leaves_it_to_the_kernel(void **state)
{
	struct connection *c = *state;

	harness_expect(&c->h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&c->h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&c->h, TETHER__STEP__STEP_ABORT, DONE);
	before_a_move_the_kernel_disconnects(state);
}

static struct pair_names names_of(const struct connection *c, int side)
{
	return (struct pair_names){.local_lid = side == OF_VM ? FAKE_LID_VM : FAKE_LID_PEER,
	        .local_qpn = side == OF_VM ? c->h.vm.qp->qp_num : c->h.peer.qp->qp_num,
	        .remote_lid = side == OF_VM ? FAKE_LID_PEER : FAKE_LID_VM,
	        .remote_qpn = side == OF_VM ? c->h.peer.qp->qp_num : c->h.vm.qp->qp_num};
}

/* The other end is in another process: the agent is told, and tells. */
static void agents_tell(struct connection *c, int side)
{
	struct pair_names ours = names_of(c, side), theirs = names_of(c, !side);

	connection_move(c);
	assert_int_equal(rdma_destroy_id(c->ids[!side]), 0);
	c->ids[!side] = NULL;
	end_is_heard(c, side);
	assert_int_equal(harness_partings, 0);
	assert_int_equal(rdma_destroy_id(c->ids[side]), 0);
	c->ids[side] =
	        id_established(c->channels[side], side, side == OF_VM ? c->h.vm.qp : c->h.peer.qp);
	assert_false(connection_parted(&theirs)); /* its kernel tells yet */
	connection_move(c);
	assert_false(connection_parted(&ours));
	assert_int_equal(rdma_disconnect(c->ids[side]), 0);
	assert_int_equal(harness_partings, 1);
	assert_memory_equal(&harness_parting, &ours, sizeof(ours));
	end_is_heard(c, side);
	assert_false(connection_parted(&theirs)); /* it has parted already */
}

static void agents_tell_what_the_vm_does(void **state)
{
	agents_tell(*state, OF_VM);
}

static void agents_tell_what_the_peer_does(void **state)
{
	agents_tell(*state, OF_PEER);
}

static void what_agents_tell_is_heard_once(void **state)
{
	struct connection *c = *state;
	struct pair_names of_peer = names_of(c, OF_PEER), wrong = of_peer;

	connection_move(c);
	wrong.local_qpn++;
	assert_false(connection_parted(&wrong));
	nothing_is_heard(c);
	assert_true(connection_parted(&of_peer));
	assert_false(connection_parted(&of_peer));
	end_is_heard(c, OF_VM);
	assert_int_equal(rdma_disconnect(c->ids[OF_VM]), 0);
	assert_int_equal(harness_partings, 0);
	nothing_is_heard(c);
}

/* The kernel was asked, and its word was under way when the device went. */
static void a_disconnect_that_a_move_overtakes_arrives(void **state)
{
	struct connection *c = *state;

	assert_int_equal(rdma_disconnect(c->ids[OF_VM]), 0);
	assert_int_equal(fake_rdmacm.disconnects, 1);
	connection_move(c);
	end_is_heard(c, OF_VM);
	end_is_heard(c, OF_PEER);
}

static void *disconnecting(void *id)
{
	assert_int_equal(rdma_disconnect(id), 0);
	return NULL;
}

static void a_disconnect_in_the_middle_is_carried_out_behind_it(void **state)
{
	struct connection *c = *state;

	for (int side = 0; side < SIDES; side++) {
		pthread_t thread;

		harness_stop(&c->h);
		pthread_create(&thread, NULL, disconnecting, c->ids[side]);
		connection_go_on(c);
		pthread_join(thread, NULL);
		assert_int_equal(fake_rdmacm.disconnects, 0);
		end_is_heard(c, OF_VM);
		end_is_heard(c, OF_PEER);
		connection_close(c);
		connection_begin(c);
	}
}

static void connections_that_cannot_be_mended_are_disconnected(void **state)
{
	struct connection *c = *state;

	harness_stop(&c->h);
	harness_expect(&c->h, TETHER__STEP__STEP_RELEASE, DONE);
	fake_rdmacm_remove(c->ids[OF_VM]->verbs);
	nothing_is_heard(c);
	harness_expect(&c->h, TETHER__STEP__STEP_ERROR, DONE);
	end_is_heard(c, OF_VM);
	end_is_heard(c, OF_PEER);
}

/* Its calls wait for their events. */
static void a_call_that_waits_finds_its_event(void **state)
{
	struct connection *c = *state;

	for (int side = 0; side < SIDES; side++) {
		assert_int_equal(rdma_destroy_id(c->ids[side]), 0);
		c->ids[side] =
		        id_established(NULL, side, side == OF_VM ? c->h.vm.qp : c->h.peer.qp);
	}
	connection_move(c);
	leave_is_taken(c);
	assert_int_equal(rdma_disconnect(c->ids[OF_VM]), 0);
	assert_non_null(c->ids[OF_VM]->event);
	assert_int_equal(c->ids[OF_VM]->event->event, RDMA_CM_EVENT_DISCONNECTED);
	assert_int_equal(rdma_disconnect(c->ids[OF_PEER]), 0);
}

static void what_was_not_read_goes_with_the_id(void **state)
{
	struct connection *c = *state;

	connection_move(c);
	assert_int_equal(rdma_disconnect(c->ids[OF_VM]), 0);
	for (int side = 0; side < SIDES; side++) {
		assert_true(fake_rdmacm_is_readable(c->channels[side]));
		assert_int_equal(rdma_destroy_id(c->ids[side]), 0);
		c->ids[side] = NULL;
		event_none(c->channels[side]);
	}
}

static void an_id_takes_its_events_to_another_channel(void **state)
{
	struct connection *c = *state;
	struct rdma_event_channel *other = rdma_create_event_channel();

	connection_move(c);
	assert_int_equal(rdma_disconnect(c->ids[OF_PEER]), 0);
	assert_int_equal(rdma_migrate_id(c->ids[OF_VM], other), 0);
	assert_ptr_equal(c->ids[OF_VM]->channel, other);
	event_none(c->channels[OF_VM]);
	event_expect(other, c->ids[OF_VM], RDMA_CM_EVENT_DISCONNECTED);
	event_expect(other, c->ids[OF_VM], RDMA_CM_EVENT_TIMEWAIT_EXIT);
	event_none(other);
	assert_int_equal(rdma_destroy_id(c->ids[OF_VM]), 0);
	c->ids[OF_VM] = NULL;
	rdma_destroy_event_channel(other);
}

static void where_nothing_rings_it_is_told_all_the_same(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_event *event;

	connection_move(c);
	fake_rdmacm.rings_nothing = true;
	assert_int_equal(rdma_disconnect(c->ids[OF_VM]), 0);
	for (int side = 0; side < SIDES; side++) {
		assert_int_equal(rdma_get_cm_event(c->channels[side], &event), 0);
		assert_int_equal(event->event, RDMA_CM_EVENT_DISCONNECTED);
		assert_ptr_equal(event->id, c->ids[side]);
		assert_int_equal(rdma_ack_cm_event(event), 0);
	}
}

static void a_device_that_nobody_moves_is_heard_of(void **state)
{
	struct connection *c = *state;

	fake_rdmacm_remove(c->ids[OF_VM]->verbs);
	event_expect(c->channels[OF_VM], c->ids[OF_VM], RDMA_CM_EVENT_DEVICE_REMOVAL);
	event_none(c->channels[OF_PEER]);
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, connection_setup, connection_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(a_move_is_not_heard),
	        BOTH(a_move_is_left_out_where_it_is_heard),
	        BOTH(an_event_that_is_held_is_not_waited_for),
	        BOTH(a_later_disconnect_of_the_vm_arrives),
	        BOTH(a_later_disconnect_of_the_peer_arrives),
	        BOTH(a_later_end_of_the_vms_id_arrives),
	        BOTH(a_later_end_of_the_peers_id_arrives),
	        BOTH(with_its_queue_pair_too),
	        BOTH(before_a_move_the_kernel_disconnects),
	        BOTH(an_aborted_move_leaves_it_to_the_kernel),
	        BOTH(agents_tell_what_the_vm_does),
	        BOTH(agents_tell_what_the_peer_does),
	        BOTH(what_agents_tell_is_heard_once),
	        BOTH(a_disconnect_that_a_move_overtakes_arrives),
	        BOTH(a_disconnect_in_the_middle_is_carried_out_behind_it),
	        BOTH(connections_that_cannot_be_mended_are_disconnected),
	        BOTH(a_call_that_waits_finds_its_event),
	        BOTH(what_was_not_read_goes_with_the_id),
	        BOTH(an_id_takes_its_events_to_another_channel),
	        BOTH(where_nothing_rings_it_is_told_all_the_same),
	        BOTH(a_device_that_nobody_moves_is_heard_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
