/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_ethernet_letters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "preload/datagrams.h"
#include "preload/grh.h"

enum { SLOT_BYTES = 128 };

static struct harness harness;

/* There is somebody to ask, who knows of nothing. */
static void nobody_has_moved(uint32_t name)
{
}

int ethernet_letters_begin(void **state, struct harness wanted)
{
	wanted.type = IBV_QPT_UD;
	wanted.ethernet = true;
	harness_stranger = nobody_has_moved;
	harness_begin(&harness, wanted);
	*state = &harness;
	return 0;
}

int ethernet_letters_setup_link_local(void **state)
{
	return ethernet_letters_begin(state, (struct harness){.gids = GIDS_LINK_LOCAL});
}

int ethernet_letters_setup_ipv4(void **state)
{
	return ethernet_letters_begin(state, (struct harness){.gids = GIDS_OF_IPV4});
}

int ethernet_letters_setup_srq(void **state)
{
	return ethernet_letters_begin(
	        state, (struct harness){.gids = GIDS_OF_IPV4, .with_srq = true});
}

static void forget(struct datagram_numbers *numbers, void *unused)
{
	datagram_numbers_forget(numbers);
}

void ethernet_letters_forget(void)
{
	datagram_numbers_each_named(forget, NULL);
	datagram_numbers_reclaim();
	heard_senders_in_child();
}

int ethernet_letters_teardown(void **state)
{
	harness_close(*state);
	harness_stranger = NULL;
	ethernet_letters_forget();
	return 0;
}

const uint8_t *header_at(const struct end *end, uint64_t slot)
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

void expect_header_of(
        struct harness *h, const struct end *end, const struct end *other, uint64_t slot)
{
	const uint8_t *header = header_at(end, slot);
	union ibv_gid from, to;

	assert_int_equal(h->wc[0].src_qp, other->qp->qp_num);
	assert_int_equal(
	        grh_ends(header, &from, &to), h->gids == GIDS_OF_IPV4 ? GRH_IS_IPV4 : GRH_IS_IPV6);
	assert_memory_equal(&from, &other->gid, sizeof(from));
	assert_memory_equal(&to, &end->gid, sizeof(to));
	if (h->gids == GIDS_OF_IPV4)
		assert_true(is_checksum_right(header + 20));
}

void expect_from(
        struct harness *h, struct end *end, const struct end *other, uint64_t slot, uint64_t n)
{
	expect_letter(h, end, slot, n);
	expect_header_of(h, end, other, slot);
}

void says(struct harness *h, struct end *from, struct end *to, uint64_t n)
{
	post_receive(to, n);
	assert_int_equal(send_letter(from, n, 0), 0);
	assert_int_equal(end_run(from, 9), 1);
	expect_from(h, to, from, n, n);
}

void both_hear_each_other(struct harness *h)
{
	says(h, &h->vm, &h->peer, 1);
	says(h, &h->peer, &h->vm, 2);
	says(h, &h->vm, &h->peer, 3);
}
