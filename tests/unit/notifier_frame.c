/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"

static Tether__Frame *heartbeat(uint64_t count)
{
	Tether__Frame *frame = malloc(sizeof(*frame));

	tether__frame__init(frame);
	frame->body_case = TETHER__FRAME__BODY_HEARTBEAT;
	frame->heartbeat = malloc(sizeof(*frame->heartbeat));
	tether__heartbeat__init(frame->heartbeat);
	frame->heartbeat->count = count;
	return frame;
}

static void feed(struct frame_reader *reader, const void *bytes, size_t length)
{
	while (length) {
		size_t room, count;
		uint8_t *at;

		assert_int_equal(frame_reader_room(reader, &at, &room), 0);
		count = room < length ? room : length;
		memcpy(at, bytes, count);
		frame_reader_received(reader, count);
		bytes = (const char *)bytes + count;
		length -= count;
	}
}

static void frames_survive_any_split(void **state)
{
	uint8_t stream[256];
	size_t length = 0;

	for (uint64_t i = 1; i <= 5; i++) {
		Tether__Frame *frame = heartbeat(i << (i * 8));
		CLEANUP_FREE uint8_t *bytes = NULL;
		size_t size;

		assert_int_equal(frame_encode(frame, &bytes, &size), 0);
		memcpy(stream + length, bytes, size);
		length += size;
		tether__frame__free_unpacked(frame, NULL);
	}
	for (size_t step = 1; step <= length; step++) {
		struct frame_reader reader = {0};
		uint64_t seen = 0;

		for (size_t at = 0; at < length; at += step) {
			Tether__Frame *frame;

			feed(&reader, stream + at, at + step > length ? length - at : step);
			while (frame_reader_next(&reader, &frame) == 1) {
				seen++;
				assert_int_equal(frame->heartbeat->count, seen << (seen * 8));
				frame_free(frame);
			}
		}
		assert_int_equal(seen, 5);
		assert_false(frame_reader_is_partial(&reader));
		frame_reader_clear(&reader);
	}
}

static void length_is_checked_before_anything_is_allocated(void **state)
{
	static const uint32_t lengths[] = {0, FRAME_MAX_BYTES + 1, 0x7fffffff, 0xffffffff};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct frame_reader reader = {0};
		uint32_t header = htobe32(lengths[i]);
		Tether__Frame *frame;
		size_t size;

		feed(&reader, &header, sizeof(header));
		size = reader.size;
		assert_int_equal(frame_reader_next(&reader, &frame), -EMSGSIZE);
		assert_int_equal(reader.size, size);
		frame_reader_clear(&reader);
	}
}

/* One frame around @body; the code that frame_reader_next gives for it. */
static int decode(const void *body, uint32_t length)
{
	struct frame_reader reader = {0};
	uint32_t header = htobe32(length);
	Tether__Frame *frame = NULL;
	int ret;

	feed(&reader, &header, sizeof(header));
	feed(&reader, body, length);
	ret = frame_reader_next(&reader, &frame);
	if (ret == 1)
		frame_free(frame);
	frame_reader_clear(&reader);
	return ret;
}

static void garbage_is_refused(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		uint32_t length;
		int ret;
	} rows[] = {
	        {"a heartbeat", "\x3a\x02\x08\x07", 4, 1},
	        {"ends within a field", "\x3a\x7f\x08", 3, -EBADMSG},
	        {"an unfinished varint", "\x3a\x02\x08\xff", 4, -EBADMSG},
	        {"field number zero", "\x02\x00", 2, -EBADMSG},
	        {"a heartbeat, and field number zero in two bytes", "\x3a\x02\x08\x07\x82\x00\x00",
	                7, -EBADMSG},
	        {"the same within it", "\x3a\x05\x08\x07\x82\x00\x00", 7, -EBADMSG},
	        {"the same in one of an answer's refusals", "\x22\x05\x32\x03\x82\x00\x00", 7,
	                -EBADMSG},
	        {"a field that is not known", "\x3a\x05\x08\x07\xf2\x7f\x00", 7, 1},
	        {"a group", "\x0b\x0c", 2, -EBADMSG},
	        {"a body of an unknown kind", "\xfa\x01\x00", 3, -EBADMSG},
	        {"text", "GET / HTTP/1.0\r\n\r\n", 18, -EBADMSG},
	        {"an announced length beyond the frame", "\x1a\xff\xff\xff\xff\x0f", 6, -EBADMSG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].what);
		assert_int_equal(decode(rows[i].bytes, rows[i].length), rows[i].ret);
	}
}

/* An Answer of nothing but empty refusals: two bytes each on the wire, some seventy in memory. */
static void small_frame_may_not_unfold_without_bound(void **state)
{
	uint32_t length = 1000 * 1000;
	CLEANUP_FREE uint8_t *body = malloc(length);
	uint32_t inner = length - 4;

	memcpy(body, "\x22", 1);
	body[1] = inner | 0x80;
	body[2] = inner >> 7 | 0x80;
	body[3] = inner >> 14;
	for (uint32_t i = 4; i < length; i += 2) {
		body[i] = 0x32;
		body[i + 1] = 0;
	}
	assert_int_equal(decode(body, length), -EMSGSIZE);
	/* The same bytes, but few of them, are a good frame: the bound is what refused it. */
	assert_int_equal(decode("\x22\x04\x32\x00\x32\x00", 6), 1);
}

static void frame_above_the_cap_is_not_sent(void **state)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	CLEANUP_FREE char *name = malloc(FRAME_MAX_BYTES + 1);
	uint8_t *bytes;
	size_t length;

	memset(name, 'n', FRAME_MAX_BYTES);
	name[FRAME_MAX_BYTES] = 0;
	hello.name = name;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	assert_int_equal(frame_encode(&frame, &bytes, &length), -EMSGSIZE);
}

static void rows_come_back_as_they_went_in(void **state)
{
	Tether__EvidenceRows table = TETHER__EVIDENCE_ROWS__INIT;
	size_t count;

	for (uint32_t i = 0; i < 100; i++) {
		struct evidence_row row = {.local_lid = i, .receives = i + 5, .flags = i + 6};

		assert_int_equal(evidence_rows_append(&table, &row), 0);
	}
	assert_int_equal(evidence_rows_count(&table, &count), 0);
	assert_int_equal(count, 100);
	for (uint32_t i = 0; i < 100; i++) {
		struct evidence_row row = evidence_rows_get(&table, i);

		assert_int_equal(row.local_lid, i);
		assert_int_equal(row.receives, i + 5);
		assert_int_equal(row.flags, i + 6);
	}
	rows_clear(&table.base);
}

/* A struct and its message are written down apart: same columns, same order. */
static void row_structs_match_the_contract(void **state)
{
#define COLUMN(name) #name,
	static const char *const evidence[] = {EVIDENCE_COLUMNS(COLUMN) NULL};
	static const char *const qp[] = {QP_COLUMNS(COLUMN) NULL};
	static const char *const key[] = {KEY_COLUMNS(COLUMN) NULL};
	static const char *const path[] = {PATH_COLUMNS(COLUMN) NULL};
	static const char *const gid[] = {GID_COLUMNS(COLUMN) NULL};
#undef COLUMN
	static const struct {
		const ProtobufCMessageDescriptor *type;
		const char *const *columns;
	} tables[] = {
	        {&tether__evidence_rows__descriptor, evidence},
	        {&tether__qp_rows__descriptor, qp},
	        {&tether__key_rows__descriptor, key},
	        {&tether__path_rows__descriptor, path},
	        {&tether__gid_rows__descriptor, gid},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		unsigned column = 0;

		for (; tables[i].columns[column]; column++)
			assert_string_equal(
			        tables[i].columns[column], tables[i].type->fields[column].name);
		assert_int_equal(column, tables[i].type->n_fields);
	}
}

static void rows_are_concatenated_in_order(void **state)
{
	Tether__KeyRows a = TETHER__KEY_ROWS__INIT, b = TETHER__KEY_ROWS__INIT;
	size_t count;

	for (uint32_t i = 0; i < 9; i++)
		key_rows_append(i < 4 ? &a : &b, &(struct key_row){i, 10 + i, 20 + i, 0});
	assert_int_equal(rows_concatenate(&a.base, &b.base), 0);
	assert_int_equal(rows_concatenate(&a.base, NULL), 0);
	assert_int_equal(key_rows_count(&a, &count), 0);
	assert_int_equal(count, 9);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(key_rows_get(&a, i).real_rkey, 20 + i);
	rows_clear(&a.base);
	rows_clear(&b.base);
}

static bool has_odd_context(const ProtobufCMessage *table, size_t index, const void *odd)
{
	return key_rows_get((const Tether__KeyRows *)table, index).context % 2 ==
	       *(const uint32_t *)odd;
}

static void rows_that_nobody_wants_go_whole(void **state)
{
	Tether__KeyRows table = TETHER__KEY_ROWS__INIT;
	const uint32_t odd = 1;
	size_t count;

	for (uint32_t i = 0; i < 9; i++)
		key_rows_append(&table, &(struct key_row){i, 10 + i, 20 + i, 0});
	rows_filter(&table.base, has_odd_context, &odd);
	assert_int_equal(key_rows_count(&table, &count), 0);
	assert_int_equal(count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		struct key_row row = key_rows_get(&table, i);

		assert_int_equal(row.context, 2 * i + 1);
		assert_int_equal(row.virtual_rkey, 11 + 2 * i);
		assert_int_equal(row.real_rkey, 21 + 2 * i);
	}
	rows_clear(&table.base);
}

static void unequal_columns_are_refused(void **state)
{
	Tether__KeyRows good = TETHER__KEY_ROWS__INIT, bad = TETHER__KEY_ROWS__INIT;
	size_t count;

	key_rows_append(&good, &(struct key_row){1, 2, 3, 0});
	key_rows_append(&bad, &(struct key_row){1, 2, 3, 0});
	bad.n_real_rkey = 0;
	assert_int_equal(key_rows_count(&bad, &count), -EBADMSG);
	assert_int_equal(rows_concatenate(&good.base, &bad.base), -EBADMSG);
	assert_int_equal(key_rows_append(&bad, &(struct key_row){4, 5, 6, 0}), -EBADMSG);
	assert_int_equal(key_rows_count(&good, &count), 0);
	assert_int_equal(count, 1);
	rows_clear(&good.base);
	rows_clear(&bad.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(frames_survive_any_split),
	        cmocka_unit_test(length_is_checked_before_anything_is_allocated),
	        cmocka_unit_test(garbage_is_refused),
	        cmocka_unit_test(small_frame_may_not_unfold_without_bound),
	        cmocka_unit_test(frame_above_the_cap_is_not_sent),
	        cmocka_unit_test(rows_come_back_as_they_went_in),
	        cmocka_unit_test(row_structs_match_the_contract),
	        cmocka_unit_test(rows_are_concatenated_in_order),
	        cmocka_unit_test(rows_that_nobody_wants_go_whole),
	        cmocka_unit_test(unequal_columns_are_refused),
	};

	return cmocka_run_group_tests_name("notifier_frame", tests, NULL, NULL);
}
