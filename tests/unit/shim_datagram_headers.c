/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Headers of datagrams, in the buffers that the application has given for them: what it sees there
 * is what it knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/objects.h"
#include "tests/unit/shim_ethernet_letters.h"
#include "tests/unit/shim_fake_ethernet.h"

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

static int setup_with_two_addresses(void **state)
{
	return ethernet_letters_begin(
	        state, (struct harness){.gids = GIDS_OF_IPV4, .second_address = true});
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EACH(nothing_is_changed_before_a_move),
	        LINK_LOCAL(a_header_may_lie_in_several_buffers),
	        IPV4(a_header_may_lie_in_several_buffers),
	        LINK_LOCAL(buffers_may_have_addresses_of_their_own),
	        IPV4(buffers_may_have_addresses_of_their_own),
	        EACH(an_answer_goes_to_who_has_asked),
	        ON_ETHERNET(of_two_addresses_each_stays_what_it_was, setup_with_two_addresses),
	        LINK_LOCAL(what_is_remembered_is_of_this_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
