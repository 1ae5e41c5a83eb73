/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Derived datatypes: what lies in pieces at one end, or at both, in different ones; and what lies
 * between the pieces must stay.
 */
#include <stdlib.h>
#include <string.h>

#include "demo-apps/mpi_verify/messages.h"
#include "demo-apps/mpi_verify/ring.h"
#include "demo-apps/mpi_verify/sizes.h"

enum {
	PIECES_MAX = 512,
	PIECE_LENGTH = 8, /* of the regular layouts */
};

struct layout {
	MPI_Datatype type;
	unsigned pieces;
	int at[PIECES_MAX], length[PIECES_MAX];
	size_t extent, total;
};

enum shape {
	SHAPE_VECTOR,
	SHAPE_INDEXED,
	SHAPE_STRUCT,
	SHAPE_SUBARRAY,
	SHAPE_CONTIGUOUS,
	SHAPE_COUNT
};

static void piece_add(struct layout *layout, size_t at, size_t length)
{
	layout->at[layout->pieces] = (int)at;
	layout->length[layout->pieces++] = (int)length;
	layout->total += length;
	layout->extent = at + length;
}

static void layout_vector(struct job *job, struct layout *layout, int pieces)
{
	for (int i = 0; i < pieces; i++)
		piece_add(layout, (size_t)i * 3 * PIECE_LENGTH, PIECE_LENGTH);
	CALL(job, MPI_Type_vector(pieces, PIECE_LENGTH, 3 * PIECE_LENGTH, MPI_BYTE, &layout->type));
}

/* Pieces of one to fifteen bytes, at odd places. They add up to @pieces * PIECE_LENGTH for an even
 * number. */
static void layout_indexed(struct job *job, struct layout *layout, int pieces)
{
	size_t at = 1;

	for (int i = 0; i < pieces; i++) {
		size_t length = i == pieces - 1 && pieces % 2 ? 8
		                : i % 2                       ? 15 - i / 2 % 15
		                                              : 1 + i / 2 % 15;

		piece_add(layout, at, length);
		at += length + 1 + (size_t)i % 5;
	}
	CALL(job, MPI_Type_indexed(pieces, layout->length, layout->at, MPI_BYTE, &layout->type));
}

/* Members that are types of their own. */
static void layout_struct(struct job *job, struct layout *layout, int pieces)
{
	MPI_Datatype inner, types[PIECES_MAX];
	int counts[PIECES_MAX];
	MPI_Aint places[PIECES_MAX];

	CALL(job, MPI_Type_contiguous(PIECE_LENGTH / 2, MPI_BYTE, &inner));
	for (int i = 0; i < pieces; i++) {
		piece_add(layout, (size_t)i * 2 * PIECE_LENGTH, PIECE_LENGTH);
		types[i] = i % 2 ? inner : MPI_BYTE;
		counts[i] = i % 2 ? 2 : PIECE_LENGTH;
		places[i] = layout->at[i];
	}
	CALL(job, MPI_Type_create_struct(pieces, counts, places, types, &layout->type));
	CALL(job, MPI_Type_free(&inner));
}

/* The middle of a two-dimensional array of rows of 5 * PIECE_LENGTH bytes. */
static void layout_subarray(struct job *job, struct layout *layout, int pieces)
{
	int sizes[2] = {pieces + 2, 5 * PIECE_LENGTH}, inner[2] = {pieces, PIECE_LENGTH},
	    starts[2] = {1, 2 * PIECE_LENGTH};

	for (int i = 0; i < pieces; i++)
		piece_add(layout, (size_t)(i + 1) * 5 * PIECE_LENGTH + 2 * PIECE_LENGTH,
		        PIECE_LENGTH);
	CALL(job, MPI_Type_create_subarray(
	                  2, sizes, inner, starts, MPI_ORDER_C, MPI_BYTE, &layout->type));
	layout->extent = (size_t)(pieces + 2) * 5 * PIECE_LENGTH;
}

static struct layout *layout_create(struct job *job, enum shape shape, int pieces)
{
	struct layout *layout = calloc(1, sizeof(*layout));

	if (!layout)
		abort();
	if (shape == SHAPE_VECTOR)
		layout_vector(job, layout, pieces);
	else if (shape == SHAPE_INDEXED)
		layout_indexed(job, layout, pieces);
	else if (shape == SHAPE_STRUCT)
		layout_struct(job, layout, pieces);
	else if (shape == SHAPE_SUBARRAY)
		layout_subarray(job, layout, pieces);
	else {
		piece_add(layout, 0, (size_t)pieces * PIECE_LENGTH);
		CALL(job, MPI_Type_contiguous(pieces * PIECE_LENGTH, MPI_BYTE, &layout->type));
	}
	CALL(job, MPI_Type_commit(&layout->type));
	return layout;
}

static void layout_destroy(struct job *job, struct layout *layout)
{
	CALL(job, MPI_Type_free(&layout->type));
	free(layout);
}

static void scatter(unsigned char *to, const unsigned char *from, const struct layout *layout)
{
	for (unsigned i = 0; i < layout->pieces; from += layout->length[i++])
		memcpy(to + layout->at[i], from, (size_t)layout->length[i]);
}

/* Takes the pieces out and leaves @fill in their place. */
static void gather(
        unsigned char *to, unsigned char *from, const struct layout *layout, unsigned char fill)
{
	for (unsigned i = 0; i < layout->pieces; to += layout->length[i++]) {
		memcpy(to, from + layout->at[i], (size_t)layout->length[i]);
		memset(from + layout->at[i], fill, (size_t)layout->length[i]);
	}
}

static void gaps_check(struct job *job, const unsigned char *at, size_t length, unsigned char fill)
{
	for (size_t i = 0; i < length; i++)
		if (at[i] != fill) {
			job_found(job, FINDING_corrupted, "memory between the pieces", i);
			return;
		}
}

static void exchange(struct job *job, const struct ring *ring, const struct layout *from,
        const struct layout *to)
{
	const unsigned char fill = 0x5c;
	unsigned char *packed = message_buffer(from->total), *sent = message_buffer(from->extent),
	              *received = message_buffer(to->extent);
	int tag = message_tag(job, 0);
	MPI_Status status;

	message_fill(job, ring->to, 0, packed, from->total);
	memset(sent, fill, from->extent);
	memset(received, fill, to->extent);
	scatter(sent, packed, from);
	CALL(job, MPI_Sendrecv(sent, 1, from->type, ring->to, tag, received, 1, to->type,
	                  ring->from, tag, job->comm, &status));
	gather(packed, received, to, fill);
	message_check(job, ring->from, 0, packed, to->total, from->total);
	gaps_check(job, received, to->extent, fill);
	if (!canary_lives(received + to->extent))
		job_found(job, FINDING_corrupted, "memory behind a message", to->extent);
	free(packed);
	free(sent);
	free(received);
}

void check_datatypes(struct job *job)
{
	struct ring ring = ring_of_round(job);

	for (int pieces = 2; pieces <= PIECES_MAX; pieces *= 4) {
		for (unsigned n = 0; n < SHAPE_COUNT; n++) {
			enum shape at_sender = (n + (unsigned)job->round) % SHAPE_COUNT;
			struct layout *from = layout_create(job, at_sender, pieces);
			struct layout *to = layout_create(job, n, pieces);

			exchange(job, &ring, from, to);
			layout_destroy(job, from);
			layout_destroy(job, to);
		}
	}
}
