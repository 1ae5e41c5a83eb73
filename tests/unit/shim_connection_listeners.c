/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Listeners of rdma_cm whose device moves: they go on, and the program knows one id of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <rdma/rdma_cma.h>

#include "preload/connection_listeners.h"
#include "tests/unit/shim_connections.h"

enum { PORT = 7, BACKLOG = 3 };

static char of_program[1];

static struct rdma_cm_id *listener(struct rdma_event_channel *channel, struct sockaddr *at)
{
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_id(channel, &id, of_program, RDMA_PS_TCP), 0);
	assert_int_equal(rdma_bind_addr(id, at), 0);
	assert_int_equal(rdma_listen(id, BACKLOG), 0);
	return id;
}

/* Somebody asks; the program hears it of its own id, and lets the one who asks go. */
static void is_asked(const struct rdma_cm_id *id)
{
	struct rdma_event_channel *channel = id->channel;
	struct rdma_cm_event *event;
	struct rdma_cm_id *asking;

	assert_true(fake_rdmacm_ask(PORT));
	assert_true(fake_rdmacm_is_readable(channel));
	assert_int_equal(rdma_get_cm_event(channel, &event), 0);
	assert_int_equal(event->event, RDMA_CM_EVENT_CONNECT_REQUEST);
	assert_ptr_equal(event->listen_id, id);
	asking = event->id;
	assert_ptr_equal(asking->context, id->context);
	assert_ptr_equal(asking->verbs, id->verbs);
	assert_int_equal(rdma_ack_cm_event(event), 0);
	assert_int_equal(rdma_reject(asking, NULL, 0), 0);
	assert_int_equal(rdma_destroy_id(asking), 0);
	event_none(channel);
}

static void listens_again(struct connection *c)
{
	assert_int_equal(connection_listeners_tick(c->h.now_ms), -1);
}

static void moves(struct connection *c)
{
	connection_move(c);
	event_none(c->channels[OF_VM]);
	assert_false(fake_rdmacm_ask(PORT));
	listens_again(c);
}

static void one_that_is_bound_listens_where_its_device_is(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id = listener(c->channels[OF_VM], address_of(OF_VM, PORT));
	unsigned ids = fake_rdmacm.ids;

	is_asked(id);
	for (int times = 0; times < 3; times++) {
		moves(c);
		is_asked(id);
	}
	assert_int_equal(fake_rdmacm.ids, ids + 1);
	assert_int_equal(rdma_destroy_id(id), 0);
	assert_int_equal(fake_rdmacm.ids, ids - 1);
}

static void it_is_heard_without_a_program_that_reads_in_time(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id = listener(c->channels[OF_VM], address_of(OF_VM, PORT));
	struct rdma_cm_event *event;
	struct rdma_cm_id *asking;

	moves(c);
	assert_true(fake_rdmacm_ask(PORT));
	assert_int_equal(rdma_get_cm_event(c->channels[OF_VM], &event), 0);
	asking = event->id;
	assert_int_equal(rdma_reject(asking, NULL, 0), 0);
	connection_move(c);
	/* What it was told is held: the id that told it stays until then. */
	assert_in_range(connection_listeners_tick(c->h.now_ms), 1, 1000);
	assert_false(fake_rdmacm_ask(PORT));
	assert_int_equal(rdma_ack_cm_event(event), 0);
	assert_int_equal(rdma_destroy_id(asking), 0);
	listens_again(c);
	is_asked(id);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void an_address_may_come_late(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id = listener(c->channels[OF_VM], address_of(OF_VM, PORT));
	int64_t wait_ms;

	connection_move(c);
	fake_rdmacm.has_no_addresses = true;
	wait_ms = connection_listeners_tick(c->h.now_ms);
	assert_in_range(wait_ms, 1, 1000);
	fake_rdmacm.has_no_addresses = false;
	c->h.now_ms += (uint64_t)wait_ms;
	listens_again(c);
	is_asked(id);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void nothing_is_made_while_there_is_no_device(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id = listener(c->channels[OF_VM], address_of(OF_VM, PORT));
	unsigned ids = fake_rdmacm.ids;

	harness_stop(&c->h);
	harness_expect(&c->h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_int_equal(connection_listeners_tick(c->h.now_ms), -1);
	assert_int_equal(fake_rdmacm.ids, ids);
	fake_rdmacm_remove(c->ids[OF_VM]->verbs);
	fake.slot = 1;
	harness_arrive(&c->h);
	listens_again(c);
	is_asked(id);
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void one_for_all_addresses_is_left_to_the_kernel(void **state)
{
	struct connection *c = *state;
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct rdma_cm_id *id = listener(c->channels[OF_VM], (struct sockaddr *)&any);
	unsigned ids = fake_rdmacm.ids;

	connection_move(c);
	assert_int_equal(connection_listeners_tick(c->h.now_ms), -1);
	assert_int_equal(fake_rdmacm.ids, ids);
	assert_true(fake_rdmacm_ask(PORT));
	assert_int_equal(rdma_destroy_id(id), 0);
}

static void the_peers_stays_as_it_is(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id = listener(c->channels[OF_PEER], address_of(OF_PEER, PORT));
	unsigned ids = fake_rdmacm.ids;

	connection_move(c);
	assert_int_equal(connection_listeners_tick(c->h.now_ms), -1);
	assert_int_equal(fake_rdmacm.ids, ids);
	is_asked(id);
	assert_int_equal(rdma_destroy_id(id), 0);
}

/* rdma_get_request gives each an id with a channel of its own. */
static void calls_that_wait_are_asked_as_before(void **state)
{
	struct connection *c = *state;
	struct rdma_addrinfo at = {.ai_src_addr = address_of(OF_VM, PORT)};
	struct rdma_cm_event *event;
	struct rdma_cm_id *id;

	assert_int_equal(rdma_create_ep(&id, &at, NULL, NULL), 0);
	assert_int_equal(rdma_listen(id, BACKLOG), 0);
	moves(c);
	assert_true(fake_rdmacm_ask(PORT));
	assert_int_equal(rdma_get_cm_event(id->channel, &event), 0);
	assert_ptr_equal(event->listen_id, id);
	assert_ptr_not_equal(event->id->channel, id->channel);
	id->event = event; /* as librdmacm keeps it */
	assert_int_equal(rdma_reject(event->id, NULL, 0), 0);
	assert_int_equal(rdma_destroy_id(event->id), 0);
	assert_int_equal(rdma_ack_cm_event(event), 0);
	id->event = NULL;
	rdma_destroy_ep(id);
}

static void a_device_that_nobody_moves_ends_it(void **state)
{
	struct connection *c = *state;
	struct rdma_cm_id *id = listener(c->channels[OF_VM], address_of(OF_VM, PORT));

	assert_int_equal(rdma_destroy_id(c->ids[OF_VM]), 0);
	c->ids[OF_VM] = NULL;
	connection_move(c);
	listens_again(c);
	fake_rdmacm_remove(id->verbs);
	event_expect(c->channels[OF_VM], id, RDMA_CM_EVENT_DEVICE_REMOVAL);
	assert_int_equal(rdma_destroy_id(id), 0);
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, connection_setup, connection_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(one_that_is_bound_listens_where_its_device_is),
	        BOTH(it_is_heard_without_a_program_that_reads_in_time),
	        BOTH(an_address_may_come_late),
	        BOTH(nothing_is_made_while_there_is_no_device),
	        BOTH(one_for_all_addresses_is_left_to_the_kernel),
	        BOTH(the_peers_stays_as_it_is),
	        BOTH(calls_that_wait_are_asked_as_before),
	        BOTH(a_device_that_nobody_moves_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
