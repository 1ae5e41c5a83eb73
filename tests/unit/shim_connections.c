/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_connections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "preload/real_rdmacm.h"

struct sockaddr *address_of(int side, uint16_t port)
{
	static struct sockaddr_in address;

	address = (struct sockaddr_in){.sin_family = AF_INET,
	        .sin_port = htons(port),
	        .sin_addr = {htonl(side == OF_PEER ? 0x0a000002 : 0x0a000001)}};
	return (struct sockaddr *)&address;
}

void event_expect(struct rdma_event_channel *channel, const struct rdma_cm_id *id,
        enum rdma_cm_event_type what)
{
	struct rdma_cm_event *event;

	assert_true(fake_rdmacm_is_readable(channel));
	assert_int_equal(rdma_get_cm_event(channel, &event), 0);
	assert_int_equal(event->event, what);
	assert_ptr_equal(event->id, id);
	assert_int_equal(rdma_ack_cm_event(event), 0);
}

void event_none(struct rdma_event_channel *channel)
{
	struct rdma_cm_event *event;

	assert_false(fake_rdmacm_is_readable(channel));
	assert_int_equal(rdma_get_cm_event(channel, &event), -1);
	assert_int_equal(errno, EAGAIN);
}

struct rdma_cm_id *id_resolved(struct rdma_event_channel *channel, int side)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a000003)}};
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_id(channel, &id, NULL, RDMA_PS_TCP), 0);
	assert_int_equal(
	        rdma_resolve_addr(id, address_of(side, 0), (struct sockaddr *)&to, 100), 0);
	event_expect(id->channel, id, RDMA_CM_EVENT_ADDR_RESOLVED);
	assert_int_equal(rdma_resolve_route(id, 100), 0);
	fake_rdmacm_tell(id, RDMA_CM_EVENT_ROUTE_RESOLVED);
	event_expect(id->channel, id, RDMA_CM_EVENT_ROUTE_RESOLVED);
	assert_non_null(id->verbs);
	return id;
}

struct rdma_cm_id *id_established(struct rdma_event_channel *channel, int side, struct ibv_qp *qp)
{
	struct rdma_cm_id *id = id_resolved(channel, side);

	id->qp = qp;
	assert_int_equal(rdma_connect(id, NULL), 0);
	fake_rdmacm_tell(id, RDMA_CM_EVENT_ESTABLISHED);
	event_expect(id->channel, id, RDMA_CM_EVENT_ESTABLISHED);
	return id;
}

void connection_begin(struct connection *c)
{
	harness_partings = 0;
	harness_begin(&c->h, (struct harness){0});
	for (int side = 0; side < SIDES; side++) {
		c->channels[side] = rdma_create_event_channel();
		c->ids[side] = id_established(
		        c->channels[side], side, side == OF_VM ? c->h.vm.qp : c->h.peer.qp);
	}
}

void connection_close(struct connection *c)
{
	for (int side = 0; side < SIDES; side++) {
		if (c->ids[side])
			assert_int_equal(rdma_destroy_id(c->ids[side]), 0);
		if (c->channels[side])
			rdma_destroy_event_channel(c->channels[side]);
	}
	fake_rdmacm_reset();
	harness_close(&c->h);
}

int connection_setup(void **state)
{
	static struct connection connection;

	connection_begin(&connection);
	*state = &connection;
	return 0;
}

int connection_teardown(void **state)
{
	connection_close(*state);
	return 0;
}

void connection_go_on(struct connection *c)
{
	int next = (fake.slot + 1) % 4;

	harness_expect(&c->h, TETHER__STEP__STEP_RELEASE, DONE);
	if (c->ids[OF_VM])
		fake_rdmacm_remove(c->ids[OF_VM]->verbs);
	fake.slot = -1;
	harness_time_passes(&c->h, 20);
	fake.slot = next;
	harness_arrive(&c->h);
}

void connection_move(struct connection *c)
{
	harness_stop(&c->h);
	connection_go_on(c);
}

static void one_message(struct connection *c, struct end *from, struct end *to)
{
	static uint64_t number;

	assert_int_equal(end_receive(to, ++number, 0, 64), 0);
	memset(from->memory, (int)number, 64);
	assert_int_equal(end_send(from, number, 0, 64, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(from, 1), 1);
	harness_expect_one(&c->h, from, number);
	harness_expect_one(&c->h, to, number);
	assert_int_equal(to->memory[63], (uint8_t)number);
}

void connection_lives(struct connection *c)
{
	one_message(c, &c->h.vm, &c->h.peer);
	one_message(c, &c->h.peer, &c->h.vm);
}
