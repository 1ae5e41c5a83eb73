/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * MADs on their way, in chunks of the shared file. A message belongs to whoever holds its index: a
 * mailbox's queue or an event. All calls under the fabric's lock.
 */
#ifndef SIMFABRIC_MESSAGES_H
#define SIMFABRIC_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <infiniband/umad.h>

#include "simfabric/shared_file.h"

enum {
	MAD_BYTES = 256,
	MESSAGE_MAX_BYTES = 32 << 20,
	MESSAGES_ARENA_BYTES = 256 << 20,
	MESSAGE_CHUNK_BYTES = 384,
	MESSAGE_FIRST_BYTES = MESSAGE_CHUNK_BYTES - 64,
};

struct message {
	uint32_t next; /* index + 1 of the one behind it in its queue */
	uint32_t more; /* index + 1 of the chunk with the bytes that do not fit here */
	uint32_t length;
	uint16_t agent;      /* of its mailbox */
	uint8_t is_answered; /* the response to a request that is not pending any more */
	uint8_t is_rmpp;     /* while it is under way */
	uint8_t reserved[4];
	struct ib_mad_addr address;
	uint8_t mad[MESSAGE_FIRST_BYTES];
};

/* A copy of @mad; NO_INDEX: too long, or no room. */
uint32_t message_create(struct fabric *fabric, const void *mad, size_t bytes);
struct message *message_at(const struct fabric *fabric, uint32_t index);
/* Copy the first @bytes, at most its length. */
void message_read(const struct fabric *fabric, uint32_t index, void *into, size_t bytes);
void message_free(struct fabric *fabric, uint32_t index);
/* Chunks in use; for tests and `simfabric clients`. */
uint32_t message_chunks_used(const struct fabric *fabric);

/*
 * After a death: whoever holds messages marks them, then what nobody marked is free. A mark of what
 * was marked before, or of nonsense, is refused: the holder drops it.
 */
struct message_marks;
struct message_marks *message_marks_begin(struct fabric *fabric);
bool message_mark(struct message_marks *marks, uint32_t index);
void message_marks_end(struct message_marks *marks);

size_t messages_size(const struct net *net);

#endif
