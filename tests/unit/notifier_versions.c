/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which version is spoken, and that who speaks the oldest is sent nothing that its contract
 * (tether_6.proto) does not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/fit.h"
#include "notifier/wire/gid_name.h"
#include "notifier/wire/message.h"
#include "notifier/wire/versions.h"

enum {
	OLDEST = TETHER__PROTOCOL__PROTOCOL_OLDEST,
	NEWEST = TETHER__PROTOCOL__PROTOCOL_VERSION,
	DEPTH = 8,
	EACH = 2, /* of a repeated field */
	KINDS = 64,
};

/* The contract of version 6: its messages are read by their descriptors alone. */
extern const ProtobufCMessageDescriptor tether6__frame__descriptor;

static const struct {
	uint32_t version;
	const char *message, *field;
} since[] = {
#define SINCE(version, message, field) {version, #message, #field},
#include "notifier/wire/since.def"
};

static int as_we_are(void **state)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", NEWEST);
	versions_pretend(text);
	return 0;
}

/* ---- the two contracts ---- */

/* "HelloAnswer" of the descriptors is "hello_answer" of the table. */
static bool is_called(const ProtobufCMessageDescriptor *kind, const char *name)
{
	for (const char *at = kind->short_name; *at; at++) {
		if (*at >= 'A' && *at <= 'Z' && at != kind->short_name && *name++ != '_')
			return false;
		if ((*at | 0x20) != *name++)
			return false;
	}
	return !*name;
}

static bool is_said_to_be_new(
        const ProtobufCMessageDescriptor *kind, const ProtobufCFieldDescriptor *field)
{
	for (size_t i = 0; i < ARRAY_SIZE(since); i++)
		if (is_called(kind, since[i].message) && !strcmp(field->name, since[i].field))
			return true;
	return false;
}

static void values_still_mean_the_same(
        const ProtobufCEnumDescriptor *old, const ProtobufCEnumDescriptor *now)
{
	for (unsigned i = 0; i < old->n_values; i++) {
		const ProtobufCEnumValue *value =
		        protobuf_c_enum_descriptor_get_value_by_name(now, old->values[i].name);

		if (!value || value->value != old->values[i].value)
			fail_msg("%s.%s was %d", old->short_name, old->values[i].name,
			        old->values[i].value);
	}
}

struct kinds {
	const ProtobufCMessageDescriptor *seen[KINDS];
	size_t count;
};

static bool is_seen(struct kinds *kinds, const ProtobufCMessageDescriptor *kind)
{
	for (size_t i = 0; i < kinds->count; i++)
		if (kinds->seen[i] == kind)
			return true;
	assert_true(kinds->count < KINDS);
	kinds->seen[kinds->count++] = kind;
	return false;
}

static void message_still_stands(struct kinds *kinds, const ProtobufCMessageDescriptor *old,
        const ProtobufCMessageDescriptor *now)
{
	if (is_seen(kinds, old))
		return;
	for (unsigned i = 0; i < old->n_fields; i++) {
		const ProtobufCFieldDescriptor *was = &old->fields[i];
		const ProtobufCFieldDescriptor *is =
		        protobuf_c_message_descriptor_get_field(now, was->id);

		if (!is || strcmp(is->name, was->name) || is->type != was->type ||
		        is->label != was->label)
			fail_msg("%s.%s = %u is not what it was", old->short_name, was->name,
			        was->id);
		else if (was->type == PROTOBUF_C_TYPE_MESSAGE)
			message_still_stands(kinds, was->descriptor, is->descriptor);
		else if (was->type == PROTOBUF_C_TYPE_ENUM)
			values_still_mean_the_same(was->descriptor, is->descriptor);
	}
	for (unsigned i = 0; i < now->n_fields; i++) {
		const ProtobufCFieldDescriptor *is = &now->fields[i];
		bool was = protobuf_c_message_descriptor_get_field(old, is->id);

		if (was == is_said_to_be_new(now, is))
			fail_msg("%s.%s: since.def says that it is %s", now->short_name, is->name,
			        was ? "new" : "not new");
	}
}

static void the_contract_of_the_oldest_still_stands(void **state)
{
	struct kinds kinds = {0};

	message_still_stands(&kinds, &tether6__frame__descriptor, &tether__frame__descriptor);
	assert_true(kinds.count > 20);
}

/* ---- what is sent ---- */

static ProtobufCMessage *filled(const ProtobufCMessageDescriptor *kind, unsigned body,
        unsigned depth, struct pieces *pieces);

static void element_fill(
        const ProtobufCFieldDescriptor *field, void *at, unsigned depth, struct pieces *pieces)
{
	static uint8_t byte = 7;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		*(const char **)at = "x";
		break;
	case PROTOBUF_C_TYPE_BYTES:
		*(ProtobufCBinaryData *)at = (ProtobufCBinaryData){1, &byte};
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = filled(field->descriptor, 0, depth + 1, pieces);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = true;
		break;
	default:
		memset(at, 1, message_element_size(field->type));
		break;
	}
}

static void field_fill(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
        unsigned depth, struct pieces *pieces)
{
	char *base = (char *)message, *at = base + field->offset;
	size_t size = message_element_size(field->type);

	if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth == DEPTH)
		return;
	if (field->label != PROTOBUF_C_LABEL_REPEATED) {
		element_fill(field, at, depth, pieces);
		return;
	}
	*(char **)at = pieces_alloc(pieces, EACH * size);
	*(size_t *)(base + field->quantifier_offset) = EACH;
	for (size_t i = 0; i < EACH; i++)
		element_fill(field, *(char **)at + i * size, depth, pieces);
}

/* Every field is set; of a frame the one numbered @body. */
static ProtobufCMessage *filled(const ProtobufCMessageDescriptor *kind, unsigned body,
        unsigned depth, struct pieces *pieces)
{
	ProtobufCMessage *message = pieces_alloc(pieces, kind->sizeof_message);

	protobuf_c_message_init(kind, message);
	for (unsigned i = 0; i < kind->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &kind->fields[i];

		if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)) {
			field_fill(message, field, depth, pieces);
		} else if (field->id == body) {
			*(uint32_t *)((char *)message + field->quantifier_offset) = body;
			field_fill(message, field, depth, pieces);
		}
	}
	return message;
}

static unsigned unknown_of(const ProtobufCMessage *message);

static unsigned unknown_in(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message, *at = base + field->offset;
	const uint32_t *which = (const uint32_t *)(base + field->quantifier_offset);
	unsigned count = 0;

	if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
	        ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *which != field->id))
		return 0;
	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return unknown_of(*(ProtobufCMessage *const *)at);
	for (size_t i = 0; i < *(const size_t *)which; i++)
		count += unknown_of((*(ProtobufCMessage *const *const *)at)[i]);
	return count;
}

static unsigned unknown_of(const ProtobufCMessage *message)
{
	unsigned count = message ? message->n_unknown_fields : 0;

	for (unsigned i = 0; message && i < message->descriptor->n_fields; i++)
		count += unknown_in(message, &message->descriptor->fields[i]);
	return count;
}

/* Fields of @frame that who speaks version 6 does not know; it reads the rest as it was meant. */
static unsigned unknown_to_the_oldest(const ProtobufCMessage *frame)
{
	size_t size = protobuf_c_message_get_packed_size(frame);
	CLEANUP_FREE uint8_t *packed = malloc(size + 1), *again = malloc(size + 1);
	ProtobufCMessage *read;
	unsigned count;

	protobuf_c_message_pack(frame, packed);
	read = protobuf_c_message_unpack(&tether6__frame__descriptor, NULL, size, packed);
	assert_non_null(read);
	count = unknown_of(read);
	if (!count) {
		assert_int_equal(protobuf_c_message_pack(read, again), size);
		assert_memory_equal(again, packed, size);
	}
	protobuf_c_message_free_unpacked(read, NULL);
	return count;
}

static void the_oldest_is_sent_what_its_contract_has(void **state)
{
	const ProtobufCMessageDescriptor *kind = &tether__frame__descriptor;
	struct pieces pieces = {0};
	unsigned newer = 0;

	for (unsigned i = 0; i < kind->n_fields; i++) {
		ProtobufCMessage *frame = filled(kind, kind->fields[i].id, 0, &pieces);
		unsigned unknown = unknown_to_the_oldest(frame);
		const Tether__Frame *fit = frame_fit(OLDEST, (const Tether__Frame *)frame, &pieces);

		assert_int_equal(unknown_to_the_oldest(&fit->base), 0);
		assert_int_equal(unknown_to_the_oldest(frame), unknown); /* it stays as it is */
		assert_true(unknown ? fit != (const Tether__Frame *)frame
		                    : fit == (const Tether__Frame *)frame);
		assert_ptr_equal(frame_fit(NEWEST, (const Tether__Frame *)frame, &pieces), frame);
		newer += unknown;
	}
	assert_true(newer >= ARRAY_SIZE(since));
	pieces_free(&pieces);
}

/* It knows GIDs, and no names of them. */
static void a_name_is_said_to_the_oldest_as_its_gid(void **state)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;
	uint8_t gid[GID_BYTES] = {0xfe, 0x80, [15] = 1};
	uint32_t name = gid_name(gid);
	struct pieces pieces = {0};
	const Tether__Frame *fit;

	address.lid = name;
	address.gid = (ProtobufCBinaryData){sizeof(gid), gid};
	interest.address = &address;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	fit = frame_fit(OLDEST, &frame, &pieces);
	assert_int_equal(fit->interest->address->lid, 0);
	assert_memory_equal(fit->interest->address->gid.data, gid, sizeof(gid));
	assert_int_equal(address.lid, name);
	assert_ptr_equal(frame_fit(NEWEST, &frame, &pieces), &frame);
	address.lid = 7;
	assert_int_equal(frame_fit(OLDEST, &frame, &pieces)->interest->address->lid, 7);
	pieces_free(&pieces);
}

/* ---- what is spoken ---- */

static void the_newest_that_both_know_is_spoken(void **state)
{
	static const struct {
		const char *we;
		uint32_t theirs, newest, common;
	} rows[] = {
	        {"7", 5, 6, 6}, /* the build before */
	        {"7", 6, 6, 6},
	        {"7", 6, 7, 7},
	        {"7", 7, 8, 7},
	        {"7", 7, 0, 7},
	        {"7", 8, 9, 0},
	        {"7", 5, 0, 0},
	        {"7", 4, 5, 0},
	        {"7", 0, 0, 0},
	        {"7", UINT32_MAX, 1, 0},
	        {"6", 6, 7, 6},
	        {"6", 6, 6, 6},
	        {"6", 7, 8, 0},
	        {"6", 7, 0, 0},
	        {"8", 6, 7, 7},
	        {"8", 7, 8, 8},
	        {"8", 6, 6, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t common;

		versions_pretend(rows[i].we);
		common = versions_common(rows[i].theirs, rows[i].newest);
		if (common != rows[i].common)
			fail_msg("row %zu: %u", i, common);
	}
}

static void what_is_said_is_what_is_spoken(void **state)
{
	static const char *const wishes[] = {"6", "7", "8"};

	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		Tether__Hello hello = TETHER__HELLO__INIT;

		versions_pretend(wishes[i]);
		versions_say(&hello);
		assert_int_equal(hello.version, versions_oldest());
		assert_int_equal(versions_common(hello.version, hello.newest), versions_newest());
		assert_true(versions_newest() - versions_oldest() <= 1);
	}
}

static void no_other_build_is_pretended(void **state)
{
	static const char *const wishes[] = {"5", "9", "", "7x?", "-1", NULL};

	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		versions_pretend(wishes[i]);
		assert_int_equal(versions_newest(), NEWEST);
	}
}

static void a_parent_that_names_no_version_speaks_the_oldest(void **state)
{
	static const struct {
		uint32_t answered, spoken;
	} rows[] = {
	        {0, OLDEST}, {OLDEST, OLDEST}, {NEWEST, NEWEST}, {NEWEST + 1, OLDEST}, {1, OLDEST}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(versions_chosen(rows[i].answered), rows[i].spoken);
}

#define TEST(name) cmocka_unit_test_setup(name, as_we_are)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        TEST(the_contract_of_the_oldest_still_stands),
	        TEST(the_oldest_is_sent_what_its_contract_has),
	        TEST(a_name_is_said_to_the_oldest_as_its_gid),
	        TEST(the_newest_that_both_know_is_spoken),
	        TEST(what_is_said_is_what_is_spoken),
	        TEST(no_other_build_is_pretended),
	        TEST(a_parent_that_names_no_version_speaks_the_oldest),
	};

	return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}
