/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Receives and probes that take what comes, from anybody with any tag. They have a communicator of
 * their own, and nobody leaves before everybody has what is his.
 */
#include <stdlib.h>

#include "demo-apps/mpi_verify/messages.h"
#include "demo-apps/mpi_verify/sizes.h"

enum {
	WILD_MESSAGES = 12, /* to each rank */
	WILD_LENGTH = 64 << 10,
	WILD_TAGS = 3,
};

/* Of message @n in the stream of @tag, in this round. */
static size_t wild_length(struct job *job, int sender, int receiver, int tag, unsigned n)
{
	uint32_t pair = (uint32_t)(sender * job->ranks + receiver);
	uint64_t random = job_shared_random(job, (uint32_t)tag << 8 | n, job->round * 4096 + pair);
	size_t most = WILD_LENGTH < job->options.length_max ? WILD_LENGTH : job->options.length_max;

	return sizes_draw(&random, most);
}

struct wild {
	MPI_Request *requests;
	unsigned char **sent;
	unsigned *seen; /* [peer * STREAM_TAGS + tag]: messages so far, of this round */
	int count;
};

/* Tags at random: neither end knows before how many there are of each. */
static void wild_send(struct job *job, struct wild *wild)
{
	unsigned *sent_before = calloc((size_t)job->ranks * STREAM_TAGS, sizeof(unsigned));

	for (int n = 0; n < wild->count; n++) {
		int to = (job->rank + 1 + n % (job->ranks - 1)) % job->ranks;
		int tag = (int)(random_next(&job->random) % WILD_TAGS);
		size_t length =
		        wild_length(job, job->rank, to, tag, sent_before[to * STREAM_TAGS + tag]++);

		wild->sent[n] = message_buffer(length);
		message_fill(job, to, tag, wild->sent[n], length);
		CALL(job, MPI_Isend(wild->sent[n], (int)length, MPI_BYTE, to, message_tag(job, tag),
		                  job->wild_comm, &wild->requests[n]));
	}
	free(sent_before);
}

static void wild_begin(struct job *job, struct wild *wild)
{
	wild->count = WILD_MESSAGES * (job->ranks - 1);
	wild->requests = calloc((size_t)wild->count, sizeof(MPI_Request));
	wild->sent = calloc((size_t)wild->count, sizeof(wild->sent[0]));
	wild->seen = calloc((size_t)job->ranks * STREAM_TAGS, sizeof(unsigned));
	wild_send(job, wild);
}

static void wild_end(struct job *job, struct wild *wild)
{
	CALL(job, MPI_Waitall(wild->count, wild->requests, MPI_STATUSES_IGNORE));
	for (int n = 0; n < wild->count; n++)
		free(wild->sent[n]);
	free(wild->sent);
	free(wild->seen);
	free(wild->requests);
	CALL(job, MPI_Barrier(job->wild_comm));
}

static void wild_check(
        struct job *job, struct wild *wild, const unsigned char *received, const MPI_Status *status)
{
	int tag = message_tag_of(job, status->MPI_TAG), from = status->MPI_SOURCE;
	unsigned n;

	if (tag < 0 || from < 0 || from >= job->ranks || from == job->rank) {
		job_found(job, FINDING_corrupted, "source or tag that nobody used", (uint64_t)from);
		return;
	}
	n = wild->seen[from * STREAM_TAGS + tag]++;
	message_check_status(
	        job, from, tag, received, status, wild_length(job, from, job->rank, tag, n));
}

/* In turn: anything; anything from a rank; anything of a tag. The last two by what is there. */
void check_wildcards(struct job *job)
{
	unsigned char *received = message_buffer(WILD_LENGTH + 1);
	struct wild wild;
	MPI_Status status;

	wild_begin(job, &wild);
	for (int n = 0; n < wild.count; n++) {
		int source = MPI_ANY_SOURCE, tag = MPI_ANY_TAG;

		if (n % 3) {
			CALL(job, MPI_Probe(source, tag, job->wild_comm, &status));
			if (n % 3 == 1)
				source = status.MPI_SOURCE;
			else
				tag = status.MPI_TAG;
		}
		CALL(job, MPI_Recv(received, WILD_LENGTH + 1, MPI_BYTE, source, tag, job->wild_comm,
		                  &status));
		wild_check(job, &wild, received, &status);
	}
	if (!canary_lives(received + WILD_LENGTH + 1))
		job_found(job, FINDING_corrupted, "memory behind a message", 0);
	wild_end(job, &wild);
	free(received);
}

enum probing { PROBING, PROBING_AGAIN, MATCHING, MATCHING_AGAIN, PROBING_COUNT };

/* Returns whether there is a message; @message is one only if it was matched. */
static int probe(struct job *job, enum probing how, MPI_Message *message, MPI_Status *status)
{
	int is_there = 1;

	if (how == PROBING)
		CALL(job, MPI_Probe(MPI_ANY_SOURCE, MPI_ANY_TAG, job->wild_comm, status));
	else if (how == PROBING_AGAIN)
		CALL(job,
		        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, job->wild_comm, &is_there, status));
	else if (how == MATCHING)
		CALL(job, MPI_Mprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, job->wild_comm, message, status));
	else
		CALL(job, MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, job->wild_comm, &is_there,
		                  message, status));
	return is_there;
}

/* The probe says who, which tag and how much; what is received then must be just that. */
static void probed_receive(struct job *job, struct wild *wild, enum probing how)
{
	MPI_Message message = MPI_MESSAGE_NULL;
	MPI_Status probed, status;
	unsigned char *received;
	int count = 0;

	while (!probe(job, how, &message, &probed))
		;
	CALL(job, MPI_Get_count(&probed, MPI_BYTE, &count));
	received = message_buffer((size_t)count);
	if (message == MPI_MESSAGE_NULL)
		CALL(job, MPI_Recv(received, count, MPI_BYTE, probed.MPI_SOURCE, probed.MPI_TAG,
		                  job->wild_comm, &status));
	else
		CALL(job, MPI_Mrecv(received, count, MPI_BYTE, &message, &status));
	if (status.MPI_SOURCE != probed.MPI_SOURCE || status.MPI_TAG != probed.MPI_TAG)
		job_found(job, FINDING_corrupted, "another message than was probed", (uint64_t)how);
	wild_check(job, wild, received, &status);
	if (!canary_lives(received + count))
		job_found(job, FINDING_corrupted, "memory behind a message", (uint64_t)count);
	free(received);
}

void check_probes(struct job *job)
{
	struct wild wild;

	wild_begin(job, &wild);
	for (int n = 0; n < wild.count; n++)
		probed_receive(job, &wild, (enum probing)(n % PROBING_COUNT));
	wild_end(job, &wild);
}
