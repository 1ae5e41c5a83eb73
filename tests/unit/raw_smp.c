/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* SMPs as bytes: where the fields stand, and that an answer which is none is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/raw/smp.h"

static void a_directed_request_has_its_path_and_permissive_lids(void **state)
{
	struct smp_request request = {
	        .method = SMP_SET, .attribute = SMP_LFT, .modifier = 0x01020304};
	uint8_t mad[SMP_BYTES];

	assert_int_equal(smp_route_extend(&request.route, 7, &request.route), 0);
	assert_int_equal(smp_route_extend(&request.route, 9, &request.route), 0);
	request.data[0] = 0xaa;
	request.data[63] = 0xbb;
	smp_encode(&request, 0x11223344, mad);
	assert_memory_equal(mad, "\x01\x81\x01\x02\0\0\0\x02", 8);
	assert_memory_equal(mad + 8, "\0\0\0\0\x11\x22\x33\x44", 8);
	assert_memory_equal(mad + 16, "\0\x19\0\0\x01\x02\x03\x04", 8);
	assert_memory_equal(mad + 24, "\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 12);
	assert_int_equal(mad[64], 0xaa);
	assert_int_equal(mad[127], 0xbb);
	assert_memory_equal(mad + 128, "\0\x07\x09\0", 4);
}

static void a_request_by_lid_has_no_path(void **state)
{
	struct smp_request request = {
	        .route = {.lid = 5, .hops = 2, .path = {0, 1, 2}},
	        .method = SMP_GET,
	        .attribute = SMP_PORT_INFO,
	        .modifier = 3,
	};
	static const uint8_t zeroes[SMP_BYTES];
	uint8_t mad[SMP_BYTES];

	smp_encode(&request, 1, mad);
	assert_memory_equal(mad, "\x01\x01\x01\x01\0\0\0\0", 8);
	assert_memory_equal(mad + 24, zeroes, SMP_BYTES - 24);
}

static void answer_make(uint8_t mad[SMP_BYTES], uint8_t class)
{
	static const uint8_t header[] = {0x01, 0x00, 0x01, 0x81, 0x80, 0x1c, 0, 0, 0, 0, 0, 0x09,
	        0x11, 0x22, 0x33, 0x44, 0, 0x11, 0, 0, 0, 0, 0, 0x05};

	memset(mad, 0, SMP_BYTES);
	memcpy(mad, header, sizeof(header));
	mad[1] = class;
	mad[64] = 0x77;
}

static void an_answer_is_read(void **state)
{
	struct smp_answer answer;
	uint8_t mad[SMP_BYTES];

	answer_make(mad, SMP_CLASS_DIRECTED);
	assert_int_equal(smp_decode(mad, SMP_BYTES, &answer), 0);
	assert_int_equal(answer.tid, 0x11223344);
	assert_int_equal(answer.status, 0x1c);
	assert_int_equal(answer.attribute, SMP_NODE_INFO);
	assert_int_equal(answer.modifier, 5);
	assert_int_equal(answer.data[0], 0x77);
	answer_make(mad, SMP_CLASS_LID);
	assert_int_equal(smp_decode(mad, SMP_BYTES, &answer), 0);
	assert_int_equal(answer.status, 0x801c);
}

static void what_is_no_answer_is_refused(void **state)
{
	struct smp_answer answer;
	uint8_t mad[SMP_BYTES];

	answer_make(mad, SMP_CLASS_LID);
	assert_int_not_equal(smp_decode(mad, SMP_BYTES - 1, &answer), 0);
	answer_make(mad, 0x03);
	assert_int_not_equal(smp_decode(mad, SMP_BYTES, &answer), 0);
	answer_make(mad, SMP_CLASS_LID);
	mad[3] = SMP_GET;
	assert_int_not_equal(smp_decode(mad, SMP_BYTES, &answer), 0);
}

static void no_route_is_longer_than_an_smp_goes(void **state)
{
	struct smp_route route = {0};

	for (unsigned i = 0; i < SMP_HOPS_MAX; i++)
		assert_int_equal(smp_route_extend(&route, 1, &route), 0);
	assert_int_not_equal(smp_route_extend(&route, 1, &route), 0);
	assert_int_equal(route.hops, SMP_HOPS_MAX);
}

static void a_node_that_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t type, ports, local_port;
		int is_right;
	} rows[] = {
	        {"a CA", SMP_NODE_CA, 2, 1, 1},
	        {"a switch, in by a port", SMP_NODE_SWITCH, 36, 36, 1},
	        {"a switch, its port 0", SMP_NODE_SWITCH, 254, 0, 1},
	        {"no type", 0, 1, 1, 0},
	        {"another type", 4, 1, 1, 0},
	        {"no port", SMP_NODE_CA, 0, 0, 0},
	        {"255 ports", SMP_NODE_SWITCH, 255, 1, 0},
	        {"a port that it has not", SMP_NODE_CA, 1, 2, 0},
	};
	struct smp_node_info info;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t data[SMP_DATA_BYTES] = {0};

		data[2] = rows[i].type;
		data[3] = rows[i].ports;
		data[36] = rows[i].local_port;
		data[19] = 0x21;
		data[27] = 0x22;
		if ((smp_node_info_decode(data, &info) == 0) != rows[i].is_right)
			fail_msg("%s", rows[i].what);
		if (rows[i].is_right) {
			assert_int_equal(info.node_guid, 0x21);
			assert_int_equal(info.port_guid, 0x22);
		}
	}
}

static void a_lid_is_set_and_nothing_else_is_asked_for(void **state)
{
	uint8_t before[SMP_DATA_BYTES], data[SMP_DATA_BYTES];
	struct smp_port_info info;

	for (unsigned i = 0; i < SMP_DATA_BYTES; i++)
		before[i] = (uint8_t)(i | 0x80);
	memcpy(data, before, sizeof(data));
	smp_port_info_for_lid(data, 0x1234);
	smp_port_info_decode(data, &info);
	assert_int_equal(info.lid, 0x1234);
	assert_int_equal(info.state, SMP_PORT_NO_CHANGE);
	assert_int_equal(data[32], before[32] & 0xf0);
	assert_int_equal(data[33], before[33] & 0x0f);
	assert_int_equal(data[51], before[51] & 0x7f);
	for (unsigned i = 0; i < SMP_DATA_BYTES; i++)
		if (i != 16 && i != 17 && i != 32 && i != 33 && i != 51)
			assert_int_equal(data[i], before[i]);
}

static void a_description_is_made_printable(void **state)
{
	char text[SMP_DATA_BYTES + 1];
	uint8_t data[SMP_DATA_BYTES];

	memset(data, 'x', sizeof(data));
	smp_description_decode(data, text);
	assert_int_equal(strlen(text), SMP_DATA_BYTES);
	memcpy(data, "a\n\"\x1b\xff", 6);
	smp_description_decode(data, text);
	assert_string_equal(text, "a????");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_directed_request_has_its_path_and_permissive_lids),
	        cmocka_unit_test(a_request_by_lid_has_no_path),
	        cmocka_unit_test(an_answer_is_read),
	        cmocka_unit_test(what_is_no_answer_is_refused),
	        cmocka_unit_test(no_route_is_longer_than_an_smp_goes),
	        cmocka_unit_test(a_node_that_cannot_be_is_refused),
	        cmocka_unit_test(a_lid_is_set_and_nothing_else_is_asked_for),
	        cmocka_unit_test(a_description_is_made_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
