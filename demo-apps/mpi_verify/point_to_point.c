/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One message at a time: blocking, the other modes of sending, sendrecv, persistent requests.
 */
#include <stdlib.h>

#include "demo-apps/mpi_verify/messages.h"
#include "demo-apps/mpi_verify/ring.h"
#include "demo-apps/mpi_verify/sizes.h"

static void send_one(struct job *job, int to, size_t length)
{
	unsigned char *buffer = message_buffer(length);

	message_fill(job, to, 0, buffer, length);
	CALL(job, MPI_Send(buffer, (int)length, MPI_BYTE, to, message_tag(job, 0), job->comm));
	free(buffer);
}

static void buffer_check(struct job *job, int from, const unsigned char *buffer,
        const MPI_Status *status, size_t length)
{
	message_check_status(job, from, 0, buffer, status, length);
	if (!canary_lives(buffer + length))
		job_found(job, FINDING_corrupted, "memory behind a message", length);
}

static void receive_one(struct job *job, int from, size_t length)
{
	unsigned char *buffer = message_buffer(length);
	MPI_Status status;

	CALL(job, MPI_Recv(buffer, (int)length, MPI_BYTE, from, message_tag(job, 0), job->comm,
	                  &status));
	buffer_check(job, from, buffer, &status, length);
	free(buffer);
}

/* Somebody in every ring has a smaller number than who it sends to, and somebody has not. */
void check_blocking(struct job *job)
{
	struct ring ring = ring_of_round(job);
	struct sizes sizes;

	if (job_spoils(job, FINDING_failed))
		CALL(job, MPI_Send(NULL, 0, MPI_BYTE, job->ranks, 0, job->comm));
	sizes_of_round(&sizes, job->options.length_max, job->round);
	for (unsigned i = 0; i < sizes.count; i++) {
		if (job->rank < ring.to)
			send_one(job, ring.to, sizes.length[i]);
		receive_one(job, ring.from, sizes.length[i]);
		if (job->rank >= ring.to)
			send_one(job, ring.to, sizes.length[i]);
	}
}

enum mode { MODE_SYNCHRONOUS, MODE_BUFFERED, MODE_READY, MODE_COUNT };

/* A ready send is allowed once the receiver has said that it waits. */
static void send_in_mode(struct job *job, enum mode mode, const void *at, size_t length, int to)
{
	int tag = message_tag(job, 0);

	if (mode == MODE_SYNCHRONOUS)
		CALL(job, MPI_Ssend(at, (int)length, MPI_BYTE, to, tag, job->comm));
	else if (mode == MODE_BUFFERED)
		CALL(job, MPI_Bsend(at, (int)length, MPI_BYTE, to, tag, job->comm));
	else
		CALL(job, MPI_Rsend(at, (int)length, MPI_BYTE, to, tag, job->comm));
}

static void exchange_in_mode(
        struct job *job, const struct ring *ring, enum mode mode, size_t length)
{
	unsigned char *sent = message_buffer(length), *received = message_buffer(length);
	int tag = message_tag(job, 0), tag_waits = message_tag(job, 1);
	MPI_Request wait = MPI_REQUEST_NULL, waits = MPI_REQUEST_NULL;
	MPI_Status status;

	message_fill(job, ring->to, 0, sent, length);
	CALL(job, MPI_Irecv(received, (int)length, MPI_BYTE, ring->from, tag, job->comm, &wait));
	CALL(job, MPI_Isend(NULL, 0, MPI_BYTE, ring->from, tag_waits, job->comm, &waits));
	CALL(job, MPI_Recv(NULL, 0, MPI_BYTE, ring->to, tag_waits, job->comm, MPI_STATUS_IGNORE));
	send_in_mode(job, mode, sent, length, ring->to);
	CALL(job, MPI_Wait(&wait, &status));
	CALL(job, MPI_Wait(&waits, MPI_STATUS_IGNORE));
	buffer_check(job, ring->from, received, &status, length);
	free(sent);
	free(received);
}

void check_modes(struct job *job)
{
	int room = (int)job->options.length_max + MPI_BSEND_OVERHEAD + 64;
	void *attached = message_buffer((size_t)room);
	struct ring ring = ring_of_round(job);
	struct sizes sizes;

	sizes_of_round(&sizes, job->options.length_max, job->round + 1);
	for (unsigned i = 0; i < sizes.count; i++) {
		enum mode mode = (i + job->round) % MODE_COUNT;

		if (mode == MODE_BUFFERED)
			CALL(job, MPI_Buffer_attach(attached, room));
		exchange_in_mode(job, &ring, mode, sizes.length[i]);
		if (mode == MODE_BUFFERED)
			CALL(job, MPI_Buffer_detach(&attached, &room));
	}
	free(attached);
}

static void sendrecv_one(struct job *job, const struct ring *ring, size_t length)
{
	unsigned char *sent = message_buffer(length), *received = message_buffer(length);
	int tag = message_tag(job, 0);
	MPI_Status status;

	message_fill(job, ring->to, 0, sent, length);
	CALL(job, MPI_Sendrecv(sent, (int)length, MPI_BYTE, ring->to, tag, received, (int)length,
	                  MPI_BYTE, ring->from, tag, job->comm, &status));
	buffer_check(job, ring->from, received, &status, length);
	message_fill(job, ring->to, 0, sent, length);
	CALL(job, MPI_Sendrecv_replace(sent, (int)length, MPI_BYTE, ring->to, tag, ring->from, tag,
	                  job->comm, &status));
	buffer_check(job, ring->from, sent, &status, length);
	free(sent);
	free(received);
}

void check_sendrecv(struct job *job)
{
	struct ring ring = ring_of_round(job);
	struct sizes sizes;

	sizes_of_round(&sizes, job->options.length_max, job->round + 2);
	for (unsigned i = 0; i < sizes.count; i++)
		sendrecv_one(job, &ring, sizes.length[i]);
}

enum { PERSISTENT_PAIRS = 6, PERSISTENT_STARTS = 4 };

struct persistent {
	size_t length[PERSISTENT_PAIRS];
	unsigned char *sent[PERSISTENT_PAIRS], *received[PERSISTENT_PAIRS];
	MPI_Request request[2 * PERSISTENT_PAIRS]; /* sends, then receives */
};

static void persistent_create(struct job *job, const struct ring *ring, struct persistent *set)
{
	for (unsigned i = 0; i < PERSISTENT_PAIRS; i++) {
		uint64_t random = job_shared_random(job, i, job->round);
		int count, tag = message_tag(job, (int)i);

		set->length[i] = sizes_draw(&random, i ? 64 << 10 : job->options.length_max);
		count = (int)set->length[i];
		set->sent[i] = message_buffer(set->length[i]);
		set->received[i] = message_buffer(set->length[i]);
		CALL(job, MPI_Send_init(set->sent[i], count, MPI_BYTE, ring->to, tag, job->comm,
		                  &set->request[i]));
		CALL(job, MPI_Recv_init(set->received[i], count, MPI_BYTE, ring->from, tag,
		                  job->comm, &set->request[PERSISTENT_PAIRS + i]));
	}
}

static void persistent_start(struct job *job, const struct ring *ring, struct persistent *set)
{
	MPI_Status status[2 * PERSISTENT_PAIRS];

	for (unsigned i = 0; i < PERSISTENT_PAIRS; i++)
		message_fill(job, ring->to, (int)i, set->sent[i], set->length[i]);
	CALL(job, MPI_Startall(2 * PERSISTENT_PAIRS, set->request));
	CALL(job, MPI_Waitall(2 * PERSISTENT_PAIRS, set->request, status));
	for (unsigned i = 0; i < PERSISTENT_PAIRS; i++)
		message_check_status(job, ring->from, (int)i, set->received[i],
		        &status[PERSISTENT_PAIRS + i], set->length[i]);
}

void check_persistent(struct job *job)
{
	struct ring ring = ring_of_round(job);
	struct persistent set;

	persistent_create(job, &ring, &set);
	for (unsigned i = 0; i < PERSISTENT_STARTS; i++)
		persistent_start(job, &ring, &set);
	for (unsigned i = 0; i < PERSISTENT_PAIRS; i++) {
		CALL(job, MPI_Request_free(&set.request[i]));
		CALL(job, MPI_Request_free(&set.request[PERSISTENT_PAIRS + i]));
		free(set.sent[i]);
		free(set.received[i]);
	}
}
