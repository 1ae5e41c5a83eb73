/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Frames of a link: four bytes of length (big endian), then one packed Frame. Pure: bytes in,
 * frames out; whoever owns the descriptor does the reading and writing, blocking or not. A reader
 * belongs to one link and one thread. Nothing here trusts the other end: the length is checked
 * before anything is allocated, and what a frame may unfold to in memory is bounded.
 */
#ifndef TETHER_FRAME_H
#define TETHER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

enum {
	FRAME_HEADER_BYTES = 4,
	FRAME_MAX_BYTES = 1 << 20,     /* packed, without the header */
	FRAME_AROUND_BYTES = 32,       /* at most, of a frame around an answer or an event */
	FRAME_MAX_UNPACKED = 16 << 20, /* many tiny sub-messages unfold to more than they weigh */
};

/* Bytes that @frame takes with its header. -EMSGSIZE: more than the cap. */
int frame_size(const Tether__Frame *frame, size_t *length);
/* Header and packed @frame to @at; @length is what frame_size said. */
void frame_write(const Tether__Frame *frame, uint8_t *at, size_t length);
/* Both in one allocation that the caller frees. -EMSGSIZE, -ENOMEM. */
int frame_encode(const Tether__Frame *frame, uint8_t **bytes, size_t *length);

/* Zero-initialise; frame_reader_clear at the end. */
struct frame_reader {
	uint8_t *bytes;
	size_t start; /* first byte not yet taken */
	size_t end;   /* behind the last byte received */
	size_t size;
};

/*
 * Where the next bytes go: *at with *room of at least one byte; say how many came with
 * frame_reader_received. Take all whole frames first. -ENOMEM.
 */
int frame_reader_room(struct frame_reader *reader, uint8_t **at, size_t *room);
void frame_reader_received(struct frame_reader *reader, size_t count);

/*
 * Take one frame: 1 with *@frame (free it with frame_free; what is in it goes with it, so that
 * who keeps something copies it: message.h), 0 when more bytes are needed.
 * -EMSGSIZE: announces more than the cap, or nothing; -EBADMSG: not a Frame, or one with an empty
 * body (a kind that this version does not know); -ENOMEM. After an error only the link's end helps.
 */
int frame_reader_next(struct frame_reader *reader, Tether__Frame **frame);
/* A frame has begun and is not complete. */
bool frame_reader_is_partial(const struct frame_reader *reader);
void frame_reader_clear(struct frame_reader *reader);

void frame_free(Tether__Frame *frame);

#endif
