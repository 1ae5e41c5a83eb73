/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/wire/message.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static size_t allocations_left = SIZE_MAX;

/* The linker puts it in malloc's place. */
void *__wrap_malloc(size_t size)
{
	return allocations_left && allocations_left-- ? __real_malloc(size) : NULL;
}

enum { NAMES = 20000, NAME_BYTES = 16, LONG_BYTES = 200000 };

/* Names, a message in it, and one that is larger than a piece. */
static void answer_fill(Tether__Answer *answer, Tether__Counts *counts)
{
	static char texts[NAMES][NAME_BYTES], large[LONG_BYTES];
	static char *names[NAMES + 1];

	tether__answer__init(answer);
	tether__counts__init(counts);
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(texts[i], NAME_BYTES, "vm%zu/1.%zu", i, i % 7);
		names[i] = texts[i];
	}
	memset(large, 'x', LONG_BYTES - 1);
	names[NAMES] = large;
	answer->migration = 7;
	answer->answered = names;
	answer->n_answered = NAMES + 1;
	counts->qps = 3;
	answer->counts = counts;
}

static void assert_same(const Tether__Answer *answer, const Tether__Answer *copy)
{
	size_t size = tether__answer__get_packed_size(answer);
	uint8_t *first = malloc(size), *second = malloc(size);

	assert_int_equal(tether__answer__get_packed_size(copy), size);
	assert_true(first && second);
	tether__answer__pack(answer, first);
	tether__answer__pack(copy, second);
	assert_memory_equal(first, second, size);
	free(first);
	free(second);
}

static void a_copy_says_the_same(void **state)
{
	Tether__Answer answer, *copy;
	Tether__Counts counts;

	answer_fill(&answer, &counts);
	copy = message_copy(&answer.base);
	assert_non_null(copy);
	assert_same(&answer, copy);
	tether__answer__free_unpacked(copy, NULL);
}

static void copies_in_pieces_say_the_same_and_go_together(void **state)
{
	struct pieces pieces = {0};
	Tether__Answer answer, bare = TETHER__ANSWER__INIT, *copy, *another;
	Tether__Counts counts;

	answer_fill(&answer, &counts);
	copy = message_copy_in_pieces(&answer.base, &pieces);
	another = message_copy_in_pieces(&bare.base, &pieces);
	assert_true(copy && another);
	assert_same(&answer, copy);
	assert_same(&bare, another);
	pieces_free(&pieces);
}

/* A HELLO with each kind of field, some with nothing in them, and fields that nobody knows. */
struct hello {
	Tether__Frame frame;
	Tether__Hello hello;
	Tether__HostVm vms[2], *vms_said[2];
	Tether__Address address, *addresses[1];
	uint32_t reserved[3];
	uint64_t open[2];
	ProtobufCMessageUnknownField unknown[2];
};

static void hello_fill(struct hello *hello)
{
	static uint8_t gid[16] = {0xfe, 0x80, [15] = 1}, unknown[] = {2, 'o', 'h'};

	*hello = (struct hello){.frame = TETHER__FRAME__INIT,
	        .hello = TETHER__HELLO__INIT,
	        .vms = {TETHER__HOST_VM__INIT, TETHER__HOST_VM__INIT},
	        .address = TETHER__ADDRESS__INIT,
	        .reserved = {1, 1 << 20, UINT32_MAX},
	        .open = {1, UINT64_MAX},
	        .unknown = {{1000, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 3, unknown},
	                {1001, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 3, unknown}}};
	hello->vms[0].name = (char *)"vm1";
	hello->vms[1].name = (char *)""; /* not the one that a message begins with */
	hello->vms_said[0] = &hello->vms[0];
	hello->vms_said[1] = &hello->vms[1];
	hello->address.gid = (ProtobufCBinaryData){sizeof(gid), gid};
	hello->addresses[0] = &hello->address;
	hello->hello.version = 5;
	hello->hello.name = (char *)"hyp1";
	hello->hello.vms = hello->vms_said;
	hello->hello.n_vms = 2;
	hello->hello.addresses = hello->addresses;
	hello->hello.n_addresses = 1;
	hello->hello.reserved_qpns = hello->reserved;
	hello->hello.n_reserved_qpns = 3;
	hello->hello.open = hello->open;
	hello->hello.n_open = 2;
	hello->hello.base.unknown_fields = hello->unknown;
	hello->hello.base.n_unknown_fields = 2;
	hello->frame.body_case = TETHER__FRAME__BODY_HELLO;
	hello->frame.hello = &hello->hello;
}

static void assert_same_frame(const Tether__Frame *frame, const Tether__Frame *copy)
{
	uint8_t first[1024], second[1024];
	size_t size = tether__frame__get_packed_size(frame);

	assert_true(size < sizeof(first));
	assert_int_equal(tether__frame__get_packed_size(copy), size);
	tether__frame__pack(frame, first);
	tether__frame__pack(copy, second);
	assert_memory_equal(first, second, size);
}

static void a_copy_has_each_kind_of_field(void **state)
{
	struct hello hello;
	Tether__Frame *copy;

	hello_fill(&hello);
	copy = message_copy(&hello.frame.base);
	assert_non_null(copy);
	assert_same_frame(&hello.frame, copy);
	assert_ptr_not_equal(copy->hello->addresses[0]->gid.data, hello.address.gid.data);
	assert_ptr_not_equal(copy->hello->base.unknown_fields[1].data, hello.unknown[1].data);
	assert_ptr_equal(copy->hello->vms[1]->name, protobuf_c_empty_string);
	tether__frame__free_unpacked(copy, NULL);
}

/* What was there by then is freed: the sanitizer sees what is not. */
static void memory_may_end_at_each_point_of_a_copy(void **state)
{
	struct hello hello;
	Tether__Frame *copy = NULL;
	size_t points = 0;

	hello_fill(&hello);
	for (; !copy; points++) {
		allocations_left = points;
		copy = message_copy(&hello.frame.base);
		allocations_left = SIZE_MAX;
	}
	assert_in_range(points, 10, 100);
	assert_same_frame(&hello.frame, copy);
	tether__frame__free_unpacked(copy, NULL);
}

static void without_memory_there_are_no_pieces(void **state)
{
	struct pieces pieces = {0};
	struct hello hello;

	hello_fill(&hello);
	allocations_left = 0;
	assert_null(message_copy_in_pieces(&hello.frame.base, &pieces));
	assert_int_equal(pieces_begin(&pieces, 100), -ENOMEM);
	allocations_left = SIZE_MAX;
	assert_null(pieces_alloc(&pieces, SIZE_MAX));
	pieces_free(&pieces);
}

static void no_pieces_are_freed(void **state)
{
	struct pieces pieces = {0};

	pieces_free(&pieces);
	pieces_free(&pieces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_copy_says_the_same),
	        cmocka_unit_test(copies_in_pieces_say_the_same_and_go_together),
	        cmocka_unit_test(a_copy_has_each_kind_of_field),
	        cmocka_unit_test(memory_may_end_at_each_point_of_a_copy),
	        cmocka_unit_test(without_memory_there_are_no_pieces),
	        cmocka_unit_test(no_pieces_are_freed),
	};

	return cmocka_run_group_tests_name("notifier_message", tests, NULL, NULL);
}
