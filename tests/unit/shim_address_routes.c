/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Where an address handle leads on an Ethernet port: to where somebody is now, or to nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/datagrams.h"
#include "tests/unit/shim_ethernet_letters.h"
#include "tests/unit/shim_fake_ethernet.h"

/* A handle from before the move leads to where the VM is; one that is made then, too. */
static void handles_lead_to_where_the_vm_is(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr there = end_address(&h->peer, &h->vm, 0);
	struct ibv_ah *old = h->peer.ah;

	harness_move(h);
	h->peer.ah = ibv_create_ah(h->peer.pd, &there);
	assert_non_null(h->peer.ah);
	says(h, &h->peer, &h->vm, 1);
	harness_move(h);
	says(h, &h->peer, &h->vm, 2);
	assert_int_equal(ibv_destroy_ah(h->peer.ah), 0);
	h->peer.ah = old;
	says(h, &h->peer, &h->vm, 3);
}

/* Made since, it is known where its context is known. */
static void asked_for(struct harness *h, bool root_says)
{
	struct end second = second_of(h, &h->vm, &h->peer);
	unsigned asked_at = datagram_numbers_taken();
	struct remote whom;

	h->peer.remote_qpn = second.qp->qp_num;
	post_receive(&second, 3);
	send_letter(&h->peer, 3, 0);
	assert_int_equal(end_run(&h->peer, 9), 0);
	assert_true(datagrams_next_unknown(&whom));
	assert_int_equal(whom.qpn, second.qp->qp_num);
	assert_int_equal(whom.lid, gid_name(h->vm.gid.raw));
	if (root_says) {
		assert_true(port_tables_real_gid(
		        context_of(h->vm.context), 1, &h->vm.gid, &whom.real_gid));
		whom.real_lid = gid_name(whom.real_gid.raw);
	}
	datagrams_learned(&whom, asked_at);
	assert_non_null(datagram_numbers_named(whom.real_lid));
	assert_int_equal(end_run(&h->peer, 9), 1);
	expect_from(h, &second, &h->peer, 3, 3);
	h->peer.remote_qpn = h->vm.qp->qp_num;
	second_end(&second);
}

static void who_is_made_after_a_move_is_asked_for(void **state)
{
	struct harness *h = *state;

	harness_move(h);
	asked_for(h, true);
	harness_move(h);
	asked_for(h, false);
	both_hear_each_other(h);
}

/* Else no handle could be made to it. */
static void the_gid_of_a_place_is_learned_with_its_name(void **state)
{
	struct harness *h = *state;
	const union ibv_gid there = fake_ipv4_gid(200);
	const uint32_t known = gid_name(h->vm.gid.raw), real = gid_name(there.raw);
	struct remote whom = {.lid = known,
	        .gid = h->vm.gid,
	        .qpn = 5,
	        .real_qpn = 6,
	        .real_lid = real,
	        .real_gid = there};

	assert_null(datagram_numbers_named(real));
	datagrams_learned(&whom, datagram_numbers_taken());
	assert_memory_equal(&datagram_numbers_named(real)->gid, &there, sizeof(there));
	assert_int_equal(
	        datagram_entry_lid(datagram_destination(datagram_numbers_named(known), 5)), real);
}

static int setup_staying(void **state)
{
	return ethernet_letters_begin(
	        state, (struct harness){.gids = GIDS_OF_IPV4, .address_stays = true});
}

/* Only its number is another, and its MAC: so handles are made anew. */
static void an_address_may_come_along(void **state)
{
	struct harness *h = *state;
	const struct ibv_ah *before;

	before = address_handle_of(h->peer.ah)->real;
	harness_move(h);
	assert_ptr_not_equal(address_handle_of(h->peer.ah)->real, before);
	both_hear_each_other(h);
	harness_move(h);
	both_hear_each_other(h);
}

/* In ATTACH, before anybody has said where the VM is. */
static void a_vm_that_talks_to_itself_goes_on(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr home = end_address(&h->vm, &h->vm, 0);
	struct ibv_ah *to_peer = h->vm.ah;

	h->vm.ah = ibv_create_ah(h->vm.pd, &home);
	h->vm.remote_qpn = h->vm.qp->qp_num;
	for (int moves = 0; moves < 2; moves++) {
		says(h, &h->vm, &h->vm, 1);
		harness_stop(h);
		harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
		fake.slot++;
		harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
		assert_false(address_handle_of(h->vm.ah)->is_astray);
		harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
		harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	}
	says(h, &h->vm, &h->vm, 1);
	assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
	h->vm.ah = to_peer;
	h->vm.remote_qpn = h->peer.qp->qp_num;
	both_hear_each_other(h);
}

static void routes_come_late(struct harness *h)
{
	if (h->now_ms % 20 == 0)
		fake.has_no_routes = false;
}

/* Its addresses are there before anything is reached by them. */
static void a_device_is_waited_for_until_its_network_is_there(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot++;
	fake.has_no_routes = true;
	h->meanwhile = routes_come_late;
	harness_arrive(h);
	h->meanwhile = NULL;
	assert_false(address_handle_of(h->vm.ah)->is_astray);
	both_hear_each_other(h);
}

/* A VM may be made to move though somebody whom it has known is gone. */
static void whoever_is_gone_keeps_nobody(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr there = end_address(&h->vm, &h->peer, 0);
	struct ibv_ah *others[5];
	unsigned before;

	for (int i = 0; i < 5; i++)
		others[i] = ibv_create_ah(h->vm.pd, &there);
	fake.peer_is_unreachable = true;
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot++;
	before = fake.handles_asked_for;
	harness_arrive(h);
	/* It is looked for once, and each has another instead; the peer's is made anew. */
	assert_int_equal(
	        fake.handles_asked_for - before, 6 + 1 + (h->gids == GIDS_OF_IPV4 ? 1 : 0));
	fake.peer_is_unreachable = false;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ibv_destroy_ah(others[i]), 0);
	assert_true(address_handle_of(h->vm.ah)->is_astray == (h->gids == GIDS_OF_IPV4));
	post_receive(&h->vm, 0);
	h->vm.remote_qpn = real_of(h->vm.qp)->qp_num;
	if (h->gids != GIDS_OF_IPV4)
		return;
	address_handle_of(h->vm.ah)->tried_ms = UINT64_MAX / 2;
	assert_int_equal(send_letter(&h->vm, 0, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	/* It is there again. */
	address_handle_of(h->vm.ah)->tried_ms = 0;
	h->vm.remote_qpn = h->peer.qp->qp_num;
	says(h, &h->vm, &h->peer, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EACH(handles_lead_to_where_the_vm_is),
	        LINK_LOCAL(who_is_made_after_a_move_is_asked_for),
	        IPV4(who_is_made_after_a_move_is_asked_for),
	        EACH(a_vm_that_talks_to_itself_goes_on),
	        LINK_LOCAL(the_gid_of_a_place_is_learned_with_its_name),
	        ON_ETHERNET(an_address_may_come_along, setup_staying),
	        EACH(a_device_is_waited_for_until_its_network_is_there),
	        LINK_LOCAL(whoever_is_gone_keeps_nobody),
	        IPV4(whoever_is_gone_keeps_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
