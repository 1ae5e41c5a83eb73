/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Many messages under way at once: with every rank, and in an order of receiving that is not that
 * of sending.
 */
#include <stdlib.h>

#include "demo-apps/mpi_verify/messages.h"
#include "demo-apps/mpi_verify/ring.h"
#include "demo-apps/mpi_verify/sizes.h"

enum {
	WINDOW = 16,               /* messages to each rank */
	WINDOW_LENGTH = 128 << 10, /* of most of them */
	ORDER_MESSAGES = 48,
	ORDER_TAGS = 4,
	ORDER_LENGTH = 64 << 10,
};

struct slot {
	int peer;
	size_t length;
	unsigned char *buffer;
};

/* The length of message @i from @sender to @receiver, which both know. */
static size_t slot_length(struct job *job, int sender, int receiver, unsigned i)
{
	uint32_t pair = (uint32_t)(sender * job->ranks + receiver);
	uint64_t random = job_shared_random(job, i, job->round * 4096 + pair);
	size_t most = i == 3 && random % 4 == 0 ? job->options.length_max : WINDOW_LENGTH;

	return sizes_draw(&random, most < job->options.length_max ? most : job->options.length_max);
}

static void slots_receive(struct job *job, struct slot *slots, MPI_Request *requests, int count)
{
	for (int n = 0; n < count; n++) {
		struct slot *slot = &slots[n];

		slot->peer = (job->rank + 1 + n / WINDOW) % job->ranks;
		slot->length = slot_length(job, slot->peer, job->rank, (unsigned)n % WINDOW);
		slot->buffer = message_buffer(slot->length);
		CALL(job, MPI_Irecv(slot->buffer, (int)slot->length, MPI_BYTE, slot->peer,
		                  message_tag(job, 0), job->comm, &requests[n]));
	}
}

static void slots_send(struct job *job, struct slot *slots, MPI_Request *requests, int count)
{
	int peers = job->ranks - 1;

	for (int n = 0; n < count; n++) {
		struct slot *slot = &slots[n];

		slot->peer = (job->rank + 1 + n % peers) % job->ranks;
		slot->length = slot_length(job, job->rank, slot->peer, (unsigned)(n / peers));
		slot->buffer = message_buffer(slot->length);
		message_fill(job, slot->peer, 0, slot->buffer, slot->length);
		CALL(job, MPI_Isend(slot->buffer, (int)slot->length, MPI_BYTE, slot->peer,
		                  message_tag(job, 0), job->comm, &requests[n]));
	}
}

/* The ways of waiting in turn; a receive is checked in the order of posting, which is that of the
 * stream. */
static void all_wait(struct job *job, MPI_Request *requests, MPI_Status *status, int count)
{
	int done = 0, index, indices[64];
	MPI_Status some[64];

	if (job->round % 3 == 0) {
		CALL(job, MPI_Waitall(count, requests, status));
		return;
	}
	while (done < count && job->round % 3 == 1) {
		index = MPI_UNDEFINED;
		CALL(job, MPI_Waitany(count, requests, &index, &some[0]));
		if (index == MPI_UNDEFINED)
			return;
		status[index] = some[0];
		done++;
	}
	while (done < count) {
		int window = count < 64 ? count : 64, completed = 0;
		int base = done / window * window;

		window = count - base < window ? count - base : window;
		CALL(job, MPI_Waitsome(window, requests + base, &completed, indices, some));
		if (completed == MPI_UNDEFINED)
			return;
		for (int i = 0; i < completed; i++)
			status[base + indices[i]] = some[i];
		done += completed;
	}
}

void check_outstanding(struct job *job)
{
	int count = WINDOW * (job->ranks - 1);
	struct slot *slots = calloc(2 * (size_t)count, sizeof(*slots));
	MPI_Request *requests = calloc(2 * (size_t)count, sizeof(MPI_Request));
	MPI_Status *status = calloc(2 * (size_t)count, sizeof(*status));

	slots_receive(job, slots, requests, count);
	slots_send(job, slots + count, requests + count, count);
	all_wait(job, requests, status, 2 * count);
	for (int n = 0; n < count; n++) {
		struct slot *slot = &slots[n];

		message_check_status(job, slot->peer, 0, slot->buffer, &status[n], slot->length);
		if (!canary_lives(slot->buffer + slot->length))
			job_found(job, FINDING_corrupted, "memory behind a message", slot->length);
	}
	for (int n = 0; n < 2 * count; n++)
		free(slots[n].buffer);
	free(slots);
	free(requests);
	free(status);
}

static size_t order_length(struct job *job, unsigned n)
{
	uint64_t random = job_shared_random(job, n, job->round);
	size_t most =
	        ORDER_LENGTH < job->options.length_max ? ORDER_LENGTH : job->options.length_max;

	return sizes_draw(&random, most);
}

/* Sent with the tags in turn, received tag after tag: most of them arrive unexpected. */
void check_order(struct job *job)
{
	struct ring ring = ring_of_round(job);
	MPI_Request requests[ORDER_MESSAGES];
	unsigned char *sent[ORDER_MESSAGES], *received = message_buffer(job->options.length_max);
	MPI_Status status;

	for (unsigned n = 0; n < ORDER_MESSAGES; n++) {
		size_t length = order_length(job, n);
		int tag = (int)(n % ORDER_TAGS);

		sent[n] = message_buffer(length);
		message_fill(job, ring.to, tag, sent[n], length);
		CALL(job, MPI_Isend(sent[n], (int)length, MPI_BYTE, ring.to, message_tag(job, tag),
		                  job->comm, &requests[n]));
	}
	for (int tag = ORDER_TAGS - 1; tag >= 0; tag--) {
		for (unsigned n = (unsigned)tag; n < ORDER_MESSAGES; n += ORDER_TAGS) {
			size_t length = order_length(job, n);

			CALL(job, MPI_Recv(received, (int)length, MPI_BYTE, ring.from,
			                  message_tag(job, tag), job->comm, &status));
			message_check_status(job, ring.from, tag, received, &status, length);
		}
	}
	CALL(job, MPI_Waitall(ORDER_MESSAGES, requests, MPI_STATUSES_IGNORE));
	for (unsigned n = 0; n < ORDER_MESSAGES; n++)
		free(sent[n]);
	free(received);
}
