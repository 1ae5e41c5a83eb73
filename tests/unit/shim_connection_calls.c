/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Ids of rdma_cm on their way to a connection: a move waits for them a little, or is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/shim_connections.h"

static struct rdma_event_channel *channel;

static void is_refused(struct connection *c, const char *reason)
{
	harness_expect(&c->h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(&c->h), reason);
	assert_int_equal(c->h.answer->n_refusals, 1);
}

/* It goes, and the VM moves. */
static void moves_without(struct connection *c, struct rdma_cm_id *id)
{
	assert_int_equal(rdma_destroy_id(id), 0);
	connection_move(c);
	connection_lives(c);
}

static struct rdma_cm_id *id_bound(int side)
{
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(rdma_bind_addr(id, address_of(side, 7)), 0);
	return id;
}

static void one_that_is_bound_is_refused(void **state)
{
	struct rdma_cm_id *id = id_bound(OF_VM);

	is_refused(*state, "veto-connecting-cm");
	moves_without(*state, id);
}

static void one_that_is_resolved_is_refused(void **state)
{
	struct rdma_cm_id *id = id_resolved(channel, OF_VM);

	is_refused(*state, "veto-connecting-cm");
	moves_without(*state, id);
}

static void one_that_connects_is_refused(void **state)
{
	struct rdma_cm_id *id = id_resolved(channel, OF_VM);

	assert_int_equal(rdma_connect(id, NULL), 0);
	is_refused(*state, "veto-connecting-cm");
	fake_rdmacm_tell(id, RDMA_CM_EVENT_CONNECT_RESPONSE);
	event_expect(channel, id, RDMA_CM_EVENT_CONNECT_RESPONSE);
	is_refused(*state, "veto-connecting-cm");
	moves_without(*state, id);
}

static struct rdma_cm_id *id_asking(struct rdma_cm_id *listener)
{
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;

	assert_int_equal(rdma_listen(listener, 1), 0);
	assert_true(fake_rdmacm_ask(7));
	assert_int_equal(rdma_get_cm_event(channel, &event), 0);
	id = event->id;
	assert_int_equal(rdma_ack_cm_event(event), 0);
	return id;
}

static void one_that_is_asked_for_is_refused(void **state)
{
	struct rdma_cm_id *listener = id_bound(OF_VM), *id = id_asking(listener);
	struct rdma_conn_param param = {.qp_num = 0};

	is_refused(*state, "veto-connecting-cm");
	assert_int_equal(rdma_accept(id, &param), 0);
	is_refused(*state, "veto-connecting-cm");
	assert_int_equal(rdma_destroy_id(listener), 0);
	moves_without(*state, id);
}

static void one_that_refuses_is_not(void **state)
{
	struct rdma_cm_id *listener = id_bound(OF_VM), *id = id_asking(listener);

	assert_int_equal(rdma_destroy_id(listener), 0);
	assert_int_equal(rdma_reject_ece(id, NULL, 0), 0);
	connection_move(*state);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static const enum rdma_cm_event_type ends[] = {RDMA_CM_EVENT_ADDR_ERROR, RDMA_CM_EVENT_ROUTE_ERROR,
        RDMA_CM_EVENT_CONNECT_ERROR, RDMA_CM_EVENT_UNREACHABLE, RDMA_CM_EVENT_REJECTED};

static void nor_one_that_has_failed(void **state)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct rdma_cm_id *id = id_resolved(channel, OF_VM);

		fake_rdmacm_tell(id, ends[i]);
		event_expect(channel, id, ends[i]);
		connection_move(*state);
		event_none(channel);
		assert_int_equal(rdma_destroy_id(id), 0);
	}
}

static void nor_one_that_is_on_no_device(void **state)
{
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	connection_move(*state);
	moves_without(*state, id);
}

static void the_peers_goes_on_but_for_one_that_leads_to_the_vm(void **state)
{
	struct rdma_cm_id *id = id_resolved(channel, OF_PEER);
	struct ibv_sa_path_rec path = {.dlid = htobe16(FAKE_LID_PEER)};

	id->route.num_paths = 1;
	id->route.path_rec = &path;
	assert_int_equal(rdma_connect(id, NULL), 0);
	connection_move(*state);
	path.dlid = htobe16(FAKE_LID_VM);
	is_refused(*state, "veto-connecting-cm");
	moves_without(*state, id);
}

/* ---- waiting ---- */

static struct rdma_cm_id *connecting;

static void is_established(struct harness *h)
{
	if (!connecting)
		return;
	fake_rdmacm_tell(connecting, RDMA_CM_EVENT_ESTABLISHED);
	event_expect(channel, connecting, RDMA_CM_EVENT_ESTABLISHED);
	connecting = NULL;
}

static struct ibv_qp *another_qp(struct connection *c)
{
	struct ibv_qp_init_attr attr = {.send_cq = c->h.vm.cq,
	        .recv_cq = c->h.vm.cq,
	        .cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1},
	        .qp_type = IBV_QPT_RC};

	return ibv_create_qp(c->h.vm.pd, &attr);
}

static void a_handshake_that_ends_soon_is_waited_for(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id = id_resolved(channel, OF_VM);
	struct ibv_qp *qp = another_qp(c);
	struct rdma_conn_param param = {.qp_num = qp->qp_num};

	assert_int_equal(rdma_connect(id, &param), 0);
	connecting = id;
	c->h.meanwhile = is_established;
	connection_move(c);
	c->h.meanwhile = NULL;
	assert_null(connecting);
	event_none(channel);
	assert_int_equal(rdma_destroy_id(id), 0);
	assert_int_equal(ibv_destroy_qp(qp), 0);
}

static void one_that_begins_behind_prepare_is_refused(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id;

	harness_expect(&c->h, TETHER__STEP__STEP_PREPARE, DONE);
	id = id_resolved(channel, OF_VM);
	harness_expect(&c->h, TETHER__STEP__STEP_STOP, REFUSED);
	assert_string_equal(harness_reason(&c->h), "veto-connecting-cm");
	harness_expect(&c->h, TETHER__STEP__STEP_ABORT, DONE);
	moves_without(c, id);
}

/* ---- what is not carried along ---- */

static void a_queue_pair_that_is_not_known_is_refused(void **state)
{
	struct rdma_cm_id *id = id_resolved(channel, OF_VM);
	struct rdma_conn_param param = {.qp_num = 0x123456};

	assert_int_equal(rdma_connect(id, &param), 0);
	assert_int_equal(rdma_establish(id), 0);
	is_refused(*state, "veto-rdma-cm");
	moves_without(*state, id);
}

static void groups_are_refused(void **state)
{
	struct rdma_cm_join_mc_attr_ex attr = {0};
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_UDP), 0);
	assert_int_equal(rdma_resolve_addr(id, NULL, address_of(OF_VM, 1), 100), 0);
	event_expect(channel, id, RDMA_CM_EVENT_ADDR_RESOLVED);
	assert_int_equal(rdma_accept(id, &(struct rdma_conn_param){0}), 0);
	assert_int_equal(rdma_join_multicast(id, address_of(OF_VM, 1), NULL), 0);
	assert_int_equal(rdma_join_multicast_ex(id, &attr, NULL), 0);
	is_refused(*state, "veto-groups-cm");
	assert_int_equal(rdma_leave_multicast(id, address_of(OF_VM, 1)), 0);
	is_refused(*state, "veto-groups-cm");
	assert_int_equal(rdma_leave_multicast(id, address_of(OF_VM, 1)), 0);
	connection_move(*state);
	event_none(channel);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void what_the_kernel_need_not_hear_any_more_succeeds(void **state)
{
	struct connection *c = *state;

	assert_int_equal(rdma_notify(c->ids[OF_VM], IBV_EVENT_COMM_EST), 0);
	connection_move(c);
	assert_int_equal(rdma_notify(c->ids[OF_VM], IBV_EVENT_COMM_EST), 0);
	assert_int_equal(rdma_notify(c->ids[OF_PEER], IBV_EVENT_COMM_EST), 0);
}

static int setup(void **state)
{
	connection_setup(state);
	channel = rdma_create_event_channel();
	return 0;
}

static int teardown(void **state)
{
	rdma_destroy_event_channel(channel);
	return connection_teardown(state);
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(one_that_is_bound_is_refused),
	        BOTH(one_that_is_resolved_is_refused),
	        BOTH(one_that_connects_is_refused),
	        BOTH(one_that_is_asked_for_is_refused),
	        BOTH(one_that_refuses_is_not),
	        BOTH(nor_one_that_has_failed),
	        BOTH(nor_one_that_is_on_no_device),
	        BOTH(the_peers_goes_on_but_for_one_that_leads_to_the_vm),
	        BOTH(a_handshake_that_ends_soon_is_waited_for),
	        BOTH(one_that_begins_behind_prepare_is_refused),
	        BOTH(a_queue_pair_that_is_not_known_is_refused),
	        BOTH(groups_are_refused),
	        BOTH(what_the_kernel_need_not_hear_any_more_succeeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
