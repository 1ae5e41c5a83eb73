/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The 40 bytes in front of a datagram: where they are, what they say, and other ends put into them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "preload/grh.h"

#define GID(first, last)                                                                           \
	((union ibv_gid){.raw = {[0] = 0xfe, [1] = 0x80, [8] = (first), [15] = (last)}})
#define IPV4(last)                                                                                 \
	((union ibv_gid){.raw = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [15] = (last)}})

static const union ibv_gid a = GID(1, 2), b = GID(3, 4), c = GID(5, 6), ip_a = IPV4(1),
                           ip_b = IPV4(2), ip_c = IPV4(3);

/* As a device makes it of a packet. */
static const uint8_t of_ipv6[GRH_BYTES] = {0x60, 0, 0, 0, 0, 64, 0x11, 64, 0xfe, 0x80, 0, 0, 0, 0,
        0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 4};
/* From RFC 1071's arithmetic by hand: 4500 0064 abcd 4000 4011 + c0a8 0001 + c0a8 0002. */
static const uint8_t of_ipv4[GRH_BYTES] = {[20] = 0x45,
        0,
        0,
        0x64,
        0xab,
        0xcd,
        0x40,
        0,
        0x40,
        0x11,
        0x0d,
        0x68,
        192,
        168,
        0,
        1,
        192,
        168,
        0,
        2};

static void expect_ends(const uint8_t *header, enum grh_kind kind, const union ibv_gid *from,
        const union ibv_gid *to)
{
	union ibv_gid is_from, is_to;

	assert_int_equal(grh_ends(header, &is_from, &is_to), kind);
	assert_memory_equal(&is_from, from, sizeof(is_from));
	assert_memory_equal(&is_to, to, sizeof(is_to));
}

static void an_ipv6_header_has_both_gids(void **state)
{
	expect_ends(of_ipv6, GRH_IS_IPV6, &a, &b);
}

static void addresses_of_ipv4_are_mapped(void **state)
{
	expect_ends(of_ipv4, GRH_IS_IPV4, &ip_a, &ip_b);
}

/* Nobody has written what stands before it. */
static void what_stands_before_an_ipv4_header_is_not_read(void **state)
{
	uint8_t header[GRH_BYTES];

	memcpy(header, of_ipv4, sizeof(header));
	for (unsigned garbage = 0; garbage < 256; garbage++) {
		memset(header, (int)garbage, 20);
		expect_ends(header, GRH_IS_IPV4, &ip_a, &ip_b);
	}
}

/* Then the checksum alone tells, and where that is wrong it is none. */
static void bytes_that_look_like_an_ipv4_header_are_one_if_their_checksum_is_right(void **state)
{
	uint8_t header[GRH_BYTES];
	union ibv_gid from, to;

	memcpy(header, of_ipv4, sizeof(header));
	header[0] = 0x60;
	header[31] ^= 1;
	assert_int_equal(grh_ends(header, &from, &to), GRH_IS_IPV6);
	header[31] ^= 1;
	header[20] = 0x46;
	assert_int_equal(grh_ends(header, &from, &to), GRH_IS_IPV6);
}

/* As without a GRH on InfiniBand. */
static void bytes_of_neither_are_no_header(void **state)
{
	uint8_t header[GRH_BYTES] = {0};
	union ibv_gid from = c, to = c;

	assert_int_equal(grh_ends(header, &from, &to), GRH_IS_NONE);
	assert_memory_equal(&from, &c, sizeof(c));
	assert_false(grh_set_ends(header, GRH_IS_NONE, &a, &b));
	assert_memory_equal(header, ((uint8_t[GRH_BYTES]){0}), GRH_BYTES);
}

/* And nothing but these. */
static void other_ends_are_put_into_an_ipv6_header(void **state)
{
	uint8_t header[GRH_BYTES];

	memcpy(header, of_ipv6, sizeof(header));
	assert_true(grh_set_ends(header, GRH_IS_IPV6, &c, NULL));
	expect_ends(header, GRH_IS_IPV6, &c, &b);
	assert_true(grh_set_ends(header, GRH_IS_IPV6, NULL, &a));
	expect_ends(header, GRH_IS_IPV6, &c, &a);
	assert_memory_equal(header, of_ipv6, 8);
	assert_true(grh_set_ends(header, GRH_IS_IPV6, &a, &b));
	assert_memory_equal(header, of_ipv6, GRH_BYTES);
}

/* 0d67 and 0d66: each step of an address takes one from the sum's complement. */
static void an_ipv4_header_s_checksum_stays_right(void **state)
{
	uint8_t header[GRH_BYTES];

	memcpy(header, of_ipv4, sizeof(header));
	assert_true(grh_set_ends(header, GRH_IS_IPV4, &ip_b, NULL));
	expect_ends(header, GRH_IS_IPV4, &ip_b, &ip_b);
	assert_int_equal(header[30] << 8 | header[31], 0x0d67);
	assert_true(grh_set_ends(header, GRH_IS_IPV4, NULL, &ip_c));
	expect_ends(header, GRH_IS_IPV4, &ip_b, &ip_c);
	assert_int_equal(header[30] << 8 | header[31], 0x0d66);
	header[0] = 0x60; /* it has to be right to be seen */
	expect_ends(header, GRH_IS_IPV4, &ip_b, &ip_c);
}

/* A device that goes round the wire does not compute it. */
static void a_checksum_that_was_wrong_is_left(void **state)
{
	uint8_t header[GRH_BYTES];

	memcpy(header, of_ipv4, sizeof(header));
	header[30] = header[31] = 0;
	assert_true(grh_set_ends(header, GRH_IS_IPV4, &ip_c, &ip_a));
	expect_ends(header, GRH_IS_IPV4, &ip_c, &ip_a);
	assert_int_equal(header[30] | header[31], 0);
}

static void a_gid_for_which_ipv4_has_no_room_changes_nothing(void **state)
{
	uint8_t header[GRH_BYTES];

	memcpy(header, of_ipv4, sizeof(header));
	assert_false(grh_set_ends(header, GRH_IS_IPV4, &ip_c, &a));
	assert_false(grh_set_ends(header, GRH_IS_IPV4, &a, &ip_c));
	assert_memory_equal(header, of_ipv4, GRH_BYTES);
}

/* ---- where they are ---- */

/* Buffers of these lengths, one behind the other, backwards in memory. */
static unsigned buffers_of(struct ibv_sge *sges, uint8_t *memory, const uint32_t *lengths)
{
	unsigned count = 0;

	for (uint32_t at = 256; *lengths != UINT32_MAX; lengths++) {
		at -= *lengths;
		sges[count++] =
		        (struct ibv_sge){.addr = (uintptr_t)(memory + at), .length = *lengths};
	}
	return count;
}

static void they_may_be_spread_over_buffers(void **state)
{
	static const uint32_t splits[][44] = {{100, UINT32_MAX}, {40, UINT32_MAX},
	        {39, 1, UINT32_MAX}, {1, 39, 5, UINT32_MAX}, {0, 20, 0, 0, 19, 60, UINT32_MAX}};
	uint8_t memory[256], header[GRH_BYTES];
	struct grh_place place;
	struct ibv_sge sges[8];

	for (size_t i = 0; i < sizeof(splits) / sizeof(*splits); i++) {
		unsigned count = buffers_of(sges, memory, splits[i]);

		memset(memory, 0xaa, sizeof(memory));
		assert_true(grh_place_in(&place, sges, count));
		grh_write(&place, of_ipv6);
		grh_read(&place, header);
		assert_memory_equal(header, of_ipv6, GRH_BYTES);
	}
	assert_int_equal(place.count, 3);
	/* The first 20, 19 of the second, one of the third, and no more of that. */
	assert_memory_equal((void *)sges[1].addr, of_ipv6, 20);
	assert_memory_equal((void *)sges[4].addr, of_ipv6 + 20, 19);
	assert_int_equal(*(uint8_t *)sges[5].addr, of_ipv6[39]);
	assert_int_equal(((uint8_t *)sges[5].addr)[1], 0xaa);
}

static void each_byte_may_be_somewhere_else(void **state)
{
	uint8_t memory[GRH_BYTES], header[GRH_BYTES];
	struct ibv_sge sges[GRH_BYTES];
	struct grh_place place;

	for (unsigned i = 0; i < GRH_BYTES; i++)
		sges[i] = (struct ibv_sge){
		        .addr = (uintptr_t)&memory[GRH_BYTES - 1 - i], .length = 1};
	assert_true(grh_place_in(&place, sges, GRH_BYTES));
	grh_write(&place, of_ipv4);
	for (unsigned i = 0; i < GRH_BYTES; i++)
		assert_int_equal(memory[GRH_BYTES - 1 - i], of_ipv4[i]);
	grh_read(&place, header);
	assert_memory_equal(header, of_ipv4, GRH_BYTES);
}

static void buffers_that_are_too_short_are_no_place(void **state)
{
	struct ibv_sge sges[2] = {{.length = 20}, {.length = 19}};
	struct grh_place place;

	assert_false(grh_place_in(&place, sges, 2));
	assert_false(grh_place_in(&place, sges, 0));
	sges[1].length++;
	assert_true(grh_place_in(&place, sges, 2));
	assert_false(grh_place_in(&place, sges, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_ipv6_header_has_both_gids),
	        cmocka_unit_test(addresses_of_ipv4_are_mapped),
	        cmocka_unit_test(what_stands_before_an_ipv4_header_is_not_read),
	        cmocka_unit_test(
	                bytes_that_look_like_an_ipv4_header_are_one_if_their_checksum_is_right),
	        cmocka_unit_test(bytes_of_neither_are_no_header),
	        cmocka_unit_test(other_ends_are_put_into_an_ipv6_header),
	        cmocka_unit_test(an_ipv4_header_s_checksum_stays_right),
	        cmocka_unit_test(a_checksum_that_was_wrong_is_left),
	        cmocka_unit_test(a_gid_for_which_ipv4_has_no_room_changes_nothing),
	        cmocka_unit_test(they_may_be_spread_over_buffers),
	        cmocka_unit_test(each_byte_may_be_somewhere_else),
	        cmocka_unit_test(buffers_that_are_too_short_are_no_place),
	};

	return cmocka_run_group_tests_name("shim_grh", tests, NULL, NULL);
}
