/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* UD over Ethernet ports, where the header in front of a datagram says who has sent it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "preload/datagrams.h"
#include "preload/grh.h"
#include "preload/places.h"
#include "tests/unit/shim_fake_ethernet.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_letters.h"

enum { SLOT_BYTES = 128 };

static struct harness harness;

/* There is somebody to ask, who knows of nothing. */
static void nobody_has_moved(uint32_t name)
{
}

static int begin(void **state, struct harness wanted)
{
	wanted.type = IBV_QPT_UD;
	wanted.ethernet = true;
	harness_stranger = nobody_has_moved;
	harness_begin(&harness, wanted);
	*state = &harness;
	return 0;
}

static int setup_link_local(void **state)
{
	return begin(state, (struct harness){.gids = GIDS_LINK_LOCAL});
}

static int setup_ipv4(void **state)
{
	return begin(state, (struct harness){.gids = GIDS_OF_IPV4});
}

static int setup_srq(void **state)
{
	return begin(state, (struct harness){.gids = GIDS_OF_IPV4, .with_srq = true});
}

static int setup_staying(void **state)
{
	return begin(state, (struct harness){.gids = GIDS_OF_IPV4, .address_stays = true});
}

static void forget(struct datagram_numbers *numbers, void *unused)
{
	datagram_numbers_forget(numbers);
}

static int teardown(void **state)
{
	harness_close(*state);
	harness_stranger = NULL;
	datagram_numbers_each_named(forget, NULL);
	datagram_numbers_reclaim();
	heard_senders_in_child();
	return 0;
}

static const uint8_t *header_at(const struct end *end, uint64_t slot)
{
	return end->memory + INBOX + SLOT_BYTES * slot;
}

static bool is_checksum_right(const uint8_t *ipv4)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)ipv4[i] << 8 | ipv4[i + 1];
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/* Letter @n has come from the other end, which is called as it calls itself. */
static void expect_from(
        struct harness *h, struct end *end, const struct end *other, uint64_t slot, uint64_t n)
{
	const uint8_t *header = header_at(end, slot);
	union ibv_gid from, to;

	expect_letter(h, end, slot, n);
	assert_int_equal(h->wc[0].src_qp, other->qp->qp_num);
	assert_int_equal(
	        grh_ends(header, &from, &to), h->gids == GIDS_OF_IPV4 ? GRH_IS_IPV4 : GRH_IS_IPV6);
	assert_memory_equal(&from, &other->gid, sizeof(from));
	assert_memory_equal(&to, &end->gid, sizeof(to));
	if (h->gids == GIDS_OF_IPV4)
		assert_true(is_checksum_right(header + 20));
}

static void says(struct harness *h, struct end *from, struct end *to, uint64_t n)
{
	post_receive(to, n);
	assert_int_equal(send_letter(from, n, 0), 0);
	assert_int_equal(end_run(from, 9), 1);
	expect_from(h, to, from, n, n);
}

static void both_hear_each_other(struct harness *h)
{
	says(h, &h->vm, &h->peer, 1);
	says(h, &h->peer, &h->vm, 2);
	says(h, &h->vm, &h->peer, 3);
}

/* The bytes are as the device has written them. */
static void nothing_is_changed_before_a_move(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr there = end_address(&h->vm, &h->peer, 0);
	uint8_t header[FAKE_GRH_BYTES];

	both_hear_each_other(h);
	fake_ethernet_header(fake_hca_of(real_of(h->vm.qp)->context), &there, LENGTH, header);
	assert_memory_equal(header_at(&h->peer, 1), header, sizeof(header));
	assert_int_equal(h->wc[0].src_qp, real_of(h->vm.qp)->qp_num);
}

static void after_a_move_each_is_called_as_before(void **state)
{
	struct harness *h = *state;

	/* Also to where it was before. */
	for (int moves = 0; moves < 6; moves++) {
		both_hear_each_other(h);
		harness_move(h);
		assert_int_not_equal(real_of(h->vm.qp)->qp_num, h->vm.qp->qp_num);
	}
	both_hear_each_other(h);
}

static void both_ends_may_have_moved(void **state)
{
	struct harness *h = *state;

	harness_move(h);
	h->moves_peer = true;
	h->migration += 10;
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_arrive(h);
	assert_int_not_equal(real_of(h->peer.qp)->qp_num, h->peer.qp->qp_num);
	both_hear_each_other(h);
	h->moves_peer = false;
	h->migration += 10;
	harness_move(h);
	both_hear_each_other(h);
}

/* What is sent meanwhile is kept, and what was on its way is waited for: nothing is lost. */
static void nothing_is_lost_by_a_move(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 4; n++)
		post_receive(n % 2 ? &h->vm : &h->peer, n);
	send_letter(&h->vm, 0, 0);
	send_letter(&h->peer, 1, 0);
	end_run(&h->vm, 9);
	end_run(&h->peer, 9);
	harness_stop(h);
	send_letter(&h->vm, 2, 0);
	send_letter(&h->peer, 3, 0);
	end_run(&h->peer, 9);
	harness_go_on(h);
	assert_int_equal(end_run(&h->vm, 9) + end_run(&h->peer, 9), 2);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[1].src_qp, h->peer.qp->qp_num);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->wc[1].src_qp, h->vm.qp->qp_num);
}

/* Some time after the stop, before the vote. */
static void release_late(struct harness *h)
{
	if (h->stopped && !h->settled && h->now_ms % 20 == 0)
		fake_release_receives();
}

static void arrives_late(struct harness *h, struct end *from, struct end *to)
{
	post_receive(to, 0);
	fake.hold_receives = true;
	send_letter(from, 0, IBV_SEND_SIGNALED);
	end_run(from, 1);
	harness_expect_one(h, from, 0);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	expect_from(h, to, from, 0, 0);
	assert_int_equal(fake_receives(real_of(to->qp)), 0);
}

static void what_is_on_its_way_is_waited_for(void **state)
{
	struct harness *h = *state;

	both_hear_each_other(h);
	arrives_late(h, &h->peer, &h->vm);
	arrives_late(h, &h->vm, &h->peer);
	arrives_late(h, &h->peer, &h->vm);
}

static unsigned settle_ms(struct harness *h)
{
	uint64_t before;
	unsigned took;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	before = h->now_ms;
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	took = (unsigned)(h->now_ms - before);
	harness_go_on(h);
	return took;
}

static void when_all_has_come_nothing_is_waited_for(void **state)
{
	struct harness *h = *state;

	for (int moves = 0; moves < 2; moves++) {
		both_hear_each_other(h);
		assert_int_equal(settle_ms(h), 0);
	}
	/* And what has no receive posted is. */
	send_letter(&h->peer, 0, 0);
	end_run(&h->peer, 1);
	assert_true(settle_ms(h) > 0);
}

/* By another GID of its own each is another pair. */
static void counts_are_of_each_gid(void **state)
{
	struct harness *h = *state;
	struct end vm = h->vm, peer = h->peer;
	struct ibv_ah_attr there;

	both_hear_each_other(h);
	h->gids = h->gids == GIDS_OF_IPV4 ? GIDS_LINK_LOCAL : GIDS_OF_IPV4;
	harness_choose_gids(h);
	there = end_address(&h->vm, &h->peer, 0);
	h->vm.ah = ibv_create_ah(h->vm.pd, &there);
	says(h, &h->vm, &h->peer, 1);
	assert_int_equal(settle_ms(h), 0);
	says(h, &h->vm, &h->peer, 2);
	assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
	h->gids = h->gids == GIDS_OF_IPV4 ? GIDS_LINK_LOCAL : GIDS_OF_IPV4;
	h->vm = vm;
	h->peer = peer;
	both_hear_each_other(h);
}

/* Where the VM is then its queue pair has the peer's number. */
static void numbers_of_two_hosts_may_be_the_same(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr home = end_address(&h->peer, &h->peer, 0);
	struct ibv_ah *to_vm = h->peer.ah, *to_itself = ibv_create_ah(h->peer.pd, &home);

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot++;
	fake_next_number(h->peer.qp->qp_num - 1);
	harness_arrive(h);
	assert_int_equal(real_of(h->vm.qp)->qp_num, h->peer.qp->qp_num);
	both_hear_each_other(h);
	h->peer.ah = to_itself;
	h->peer.remote_qpn = h->peer.qp->qp_num;
	says(h, &h->peer, &h->peer, 4);
	h->peer.ah = to_vm;
	h->peer.remote_qpn = h->vm.qp->qp_num;
	both_hear_each_other(h);
	assert_int_equal(ibv_destroy_ah(to_itself), 0);
}

/* The header lies in four of them, cut in the middle of both addresses. */
static void post_split(struct end *end, uint64_t n)
{
	static const uint32_t lengths[] = {18, 17, 3, LENGTH + 2};
	struct ibv_recv_wr wr = {.wr_id = 50 + n, .num_sge = 4}, *bad;
	uint64_t at = (uintptr_t)header_at(end, n);
	struct ibv_sge sges[4];

	for (int i = 0; i < 4; i++) {
		sges[i] = (struct ibv_sge){at, lengths[i], end->mr->lkey};
		at += lengths[i];
	}
	wr.sg_list = sges;
	assert_int_equal(ibv_post_recv(end->qp, &wr, &bad), 0);
}

static void a_header_may_lie_in_several_buffers(void **state)
{
	struct harness *h = *state;

	harness_move(h);
	post_split(&h->peer, 1);
	post_split(&h->vm, 2);
	send_letter(&h->vm, 1, 0);
	send_letter(&h->peer, 2, 0);
	end_run(&h->vm, 9);
	end_run(&h->peer, 9);
	expect_from(h, &h->peer, &h->vm, 1, 1);
	expect_from(h, &h->vm, &h->peer, 2, 2);
}

/* One page off; and bytes of it are of another length than those of the header. */
static void buffers_may_have_addresses_of_their_own(void **state)
{
	enum { SHIFT = 4096 };
	struct harness *h = *state;
	uint64_t at = (uintptr_t)header_at(&h->peer, 1) + SHIFT;
	struct ibv_mr *shifted = ibv_reg_mr_iova(h->peer.pd, h->peer.memory, HARNESS_BYTES,
	        (uintptr_t)h->peer.memory + SHIFT, IBV_ACCESS_LOCAL_WRITE);
	struct ibv_sge sges[] = {
	        {at, 21, shifted->lkey}, {at - SHIFT + 21, LENGTH + GRH - 21, h->peer.mr->lkey}};
	struct ibv_recv_wr wr = {.wr_id = 51, .sg_list = sges, .num_sge = 2}, *bad;

	for (int moves = 0; moves < 2; moves++) {
		assert_int_equal(ibv_post_recv(h->peer.qp, &wr, &bad), 0);
		send_letter(&h->vm, 1, 0);
		end_run(&h->vm, 9);
		expect_from(h, &h->peer, &h->vm, 1, 1);
		harness_move(h);
	}
	assert_int_equal(ibv_dereg_mr(shifted), 0);
	says(h, &h->vm, &h->peer, 1);
}

/* As a server that answers whoever asks. */
static void answers(struct harness *h, struct end *end, struct end *other)
{
	struct ibv_ah *own = end->ah;

	says(h, other, end, 5);
	end->ah = ibv_create_ah_from_wc(
	        end->pd, &h->wc[0], (struct ibv_grh *)(uintptr_t)header_at(end, 5), 1);
	assert_non_null(end->ah);
	end->remote_qpn = h->wc[0].src_qp;
	says(h, end, other, 6);
	assert_int_equal(ibv_destroy_ah(end->ah), 0);
	end->ah = own;
}

static void an_answer_goes_to_who_has_asked(void **state)
{
	struct harness *h = *state;

	for (int moves = 0; moves < 3; moves++) {
		answers(h, &h->peer, &h->vm);
		answers(h, &h->vm, &h->peer);
		harness_move(h);
	}
}

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

static int setup_with_two_addresses(void **state)
{
	return begin(state, (struct harness){.gids = GIDS_OF_IPV4, .second_address = true});
}

/* Both lead to one at the next device; what came to the second is answered from the second. */
static void of_two_addresses_each_stays_what_it_was(void **state)
{
	struct harness *h = *state;
	struct ibv_gid_entry second;
	struct ibv_wc wc;
	struct ibv_ah *ah;
	struct ibv_ah_attr there;
	struct ibv_ah *to_first = h->peer.ah;
	struct end vm = h->vm;

	assert_int_equal(
	        _ibv_query_gid_ex(h->vm.context, 1, FAKE_ETHERNET_GIDS, &second, 0, sizeof(second)),
	        0);
	h->vm.gid = second.gid;
	there = end_address(&h->peer, &h->vm, 0);
	h->peer.ah = ibv_create_ah(h->peer.pd, &there);
	says(h, &h->peer, &h->vm, 1);
	wc = h->wc[0];
	harness_move(h);
	ah = ibv_create_ah_from_wc(
	        h->vm.pd, &wc, (struct ibv_grh *)(uintptr_t)header_at(&h->vm, 1), 1);
	assert_non_null(ah);
	assert_int_equal(address_handle_of(ah)->attr.grh.sgid_index, FAKE_ETHERNET_GIDS);
	/* Which of both is meant nobody can tell. */
	h->vm.gid = vm.gid;
	says(h, &h->peer, &h->vm, 2);
	assert_int_equal(ibv_destroy_ah(ah), 0);
	assert_int_equal(ibv_destroy_ah(h->peer.ah), 0);
	h->peer.ah = to_first;
	both_hear_each_other(h);
}

/* What was found at another device is not believed at this one. */
static void what_is_remembered_is_of_this_device(void **state)
{
	struct harness *h = *state;
	struct heard_before *before = &queue_pair_of(h->peer.qp)->heard_before;

	says(h, &h->vm, &h->peer, 1);
	before->shown = h->vm.gid;
	before->incarnation--;
	says(h, &h->vm, &h->peer, 2);
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

#define LINK_LOCAL(name) cmocka_unit_test_setup_teardown(name, setup_link_local, teardown)
#define IPV4(name)       cmocka_unit_test_setup_teardown(name, setup_ipv4, teardown)
#define SHARED(name)     cmocka_unit_test_setup_teardown(name, setup_srq, teardown)
#define EACH(name)       LINK_LOCAL(name), IPV4(name), SHARED(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EACH(nothing_is_changed_before_a_move),
	        EACH(after_a_move_each_is_called_as_before),
	        EACH(both_ends_may_have_moved),
	        EACH(nothing_is_lost_by_a_move),
	        LINK_LOCAL(what_is_on_its_way_is_waited_for),
	        IPV4(what_is_on_its_way_is_waited_for),
	        EACH(when_all_has_come_nothing_is_waited_for),
	        LINK_LOCAL(counts_are_of_each_gid),
	        IPV4(counts_are_of_each_gid),
	        EACH(numbers_of_two_hosts_may_be_the_same),
	        LINK_LOCAL(a_header_may_lie_in_several_buffers),
	        IPV4(a_header_may_lie_in_several_buffers),
	        LINK_LOCAL(buffers_may_have_addresses_of_their_own),
	        IPV4(buffers_may_have_addresses_of_their_own),
	        EACH(an_answer_goes_to_who_has_asked),
	        EACH(handles_lead_to_where_the_vm_is),
	        LINK_LOCAL(who_is_made_after_a_move_is_asked_for),
	        IPV4(who_is_made_after_a_move_is_asked_for),
	        EACH(a_vm_that_talks_to_itself_goes_on),
	        cmocka_unit_test_setup_teardown(of_two_addresses_each_stays_what_it_was,
	                setup_with_two_addresses, teardown),
	        LINK_LOCAL(the_gid_of_a_place_is_learned_with_its_name),
	        LINK_LOCAL(what_is_remembered_is_of_this_device),
	        cmocka_unit_test_setup_teardown(an_address_may_come_along, setup_staying, teardown),
	        EACH(a_device_is_waited_for_until_its_network_is_there),
	        LINK_LOCAL(whoever_is_gone_keeps_nobody),
	        IPV4(whoever_is_gone_keeps_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
