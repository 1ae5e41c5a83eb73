/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/frame.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/pieces.h"

enum {
	READER_LEAST = 4096,
	READER_KEPT = 16 << 10, /* a larger buffer is given back once it is empty */
	/* Enough memory for most frames: a message or two with their fields, and so many bytes
	 * for one that is packed: names double, and each has a pointer. */
	PIECE_BYTES = 1024,
	UNFOLDS_TO = 4,
};

int frame_size(const Tether__Frame *frame, size_t *length)
{
	size_t packed = tether__frame__get_packed_size(frame);

	if (packed > FRAME_MAX_BYTES)
		return -EMSGSIZE;
	*length = FRAME_HEADER_BYTES + packed;
	return 0;
}

void frame_write(const Tether__Frame *frame, uint8_t *at, size_t length)
{
	uint32_t header = htobe32(length - FRAME_HEADER_BYTES);

	memcpy(at, &header, sizeof(header));
	tether__frame__pack(frame, at + FRAME_HEADER_BYTES);
}

int frame_encode(const Tether__Frame *frame, uint8_t **bytes, size_t *length)
{
	size_t size;
	int err = frame_size(frame, &size);
	uint8_t *at;

	if (err)
		return err;
	at = malloc(size);
	if (!at)
		return -ENOMEM;
	frame_write(frame, at, size);
	*bytes = at;
	*length = size;
	return 0;
}

/* The length of the frame that begins at reader->start, 0 while its header is not complete. */
static size_t announced(const struct frame_reader *reader)
{
	uint32_t header;

	if (reader->end - reader->start < FRAME_HEADER_BYTES)
		return 0;
	memcpy(&header, reader->bytes + reader->start, sizeof(header));
	return FRAME_HEADER_BYTES + (size_t)be32toh(header);
}

int frame_reader_room(struct frame_reader *reader, uint8_t **at, size_t *room)
{
	size_t held = reader->end - reader->start;
	size_t wanted = announced(reader);
	size_t size = reader->size;

	if (wanted > FRAME_HEADER_BYTES + FRAME_MAX_BYTES)
		return -EMSGSIZE;
	if (reader->start) {
		memmove(reader->bytes, reader->bytes + reader->start, held);
		reader->start = 0;
		reader->end = held;
	}
	if (wanted <= held)
		wanted = held + 1;
	if (size < READER_LEAST)
		size = READER_LEAST;
	if (size < wanted)
		size = wanted;
	if (size != reader->size) {
		uint8_t *bytes = realloc(reader->bytes, size);

		if (!bytes)
			return -ENOMEM;
		reader->bytes = bytes;
		reader->size = size;
	}
	*at = reader->bytes + held;
	*room = reader->size - held;
	return 0;
}

void frame_reader_received(struct frame_reader *reader, size_t count)
{
	reader->end += count;
}

/* What one frame may unfold to, in pieces that go with it. */
struct budget {
	struct pieces pieces;
	size_t left;
	bool exceeded;
};

static void *budget_alloc(void *data, size_t size)
{
	struct budget *budget = data;

	if (size > budget->left) {
		budget->exceeded = true;
		return NULL;
	}
	budget->left -= size;
	return pieces_alloc(&budget->pieces, size);
}

/* With all the others. */
static void budget_free(void *data, void *at)
{
	(void)data;
	(void)at;
}

static bool is_sound(const ProtobufCMessage *message);

/* The messages in one field of @message. */
static bool field_is_sound(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	const void *at = base + field->offset;
	const void *quantifier = base + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		ProtobufCMessage *const *many = *(ProtobufCMessage *const *const *)at;

		for (size_t i = 0; i < *(const size_t *)quantifier; i++)
			if (!is_sound(many[i]))
				return false;
		return true;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
	        *(const uint32_t *)quantifier != field->id)
		return true;
	at = *(const void *const *)at;
	return !at || is_sound(at);
}

/*
 * What is not known is kept and passed on. A field of number 0 is none: protobuf-c takes one whose
 * number is written in two bytes, writes it in one, and takes that for garbage; whoever passed it
 * on would lose his own link for it.
 */
static bool is_sound(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *kind = message->descriptor;

	for (unsigned i = 0; i < message->n_unknown_fields; i++)
		if (!message->unknown_fields[i].tag)
			return false;
	for (unsigned i = 0; i < kind->n_fields; i++)
		if (kind->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
		        !field_is_sound(message, &kind->fields[i]))
			return false;
	return true;
}

static int decode(const uint8_t *bytes, size_t length, Tether__Frame **frame)
{
	struct budget budget = {.left = FRAME_MAX_UNPACKED};
	ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
	Tether__Frame *unpacked;

	if (pieces_begin(&budget.pieces, PIECE_BYTES + UNFOLDS_TO * length))
		return -ENOMEM;
	unpacked = tether__frame__unpack(&allocator, length, bytes);
	if (unpacked && unpacked->body_case != TETHER__FRAME__BODY__NOT_SET &&
	        is_sound(&unpacked->base)) {
		*frame = unpacked;
		return 1;
	}
	pieces_free(&budget.pieces);
	return budget.exceeded ? -EMSGSIZE : -EBADMSG;
}

static void taken(struct frame_reader *reader, size_t length)
{
	reader->start += length;
	if (reader->start != reader->end)
		return;
	reader->start = reader->end = 0;
	if (reader->size > READER_KEPT)
		frame_reader_clear(reader);
}

int frame_reader_next(struct frame_reader *reader, Tether__Frame **frame)
{
	size_t length = announced(reader);
	int ret;

	if (!length)
		return 0;
	if (length == FRAME_HEADER_BYTES || length > FRAME_HEADER_BYTES + FRAME_MAX_BYTES)
		return -EMSGSIZE;
	if (length > reader->end - reader->start)
		return 0;
	ret = decode(reader->bytes + reader->start + FRAME_HEADER_BYTES,
	        length - FRAME_HEADER_BYTES, frame);
	taken(reader, length);
	return ret;
}

bool frame_reader_is_partial(const struct frame_reader *reader)
{
	return reader->end > reader->start;
}

void frame_reader_clear(struct frame_reader *reader)
{
	free(reader->bytes);
	*reader = (struct frame_reader){0};
}

/* The frame itself is the first that was allocated. */
void frame_free(Tether__Frame *frame)
{
	if (frame)
		pieces_free_of(frame);
}
