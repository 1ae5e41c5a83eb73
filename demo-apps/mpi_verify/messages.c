/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/messages.h"

#include <stdlib.h>

#include "demo-apps/mpi_verify/arrivals.h"

struct stream {
	uint64_t sent;
	uint64_t held; /* 1 + the number that comes next although a later one was before it; 0: none
	                */
	struct arrivals arrivals;
};

int message_tag(const struct job *job, int tag)
{
	return (int)job->check * STREAM_TAGS + tag;
}

int message_tag_of(const struct job *job, int mpi_tag)
{
	int tag = mpi_tag - message_tag(job, 0);

	return tag >= 0 && tag < STREAM_TAGS ? tag : -1;
}

static struct stream *stream_of(struct job *job, int peer, int tag)
{
	struct stream **streams = &job->streams[job->check];

	if (!*streams)
		*streams = calloc((size_t)job->ranks * STREAM_TAGS, sizeof(struct stream));
	if (!*streams)
		abort();
	return &(*streams)[peer * STREAM_TAGS + tag];
}

/* The number of what is sent next, which the fault to be committed may change. */
static uint64_t number_next(struct job *job, struct stream *stream, size_t length)
{
	uint64_t number;

	if (stream->held && length >= CONTENT_DISTINCT) {
		number = stream->held - 1;
		stream->held = 0;
		return number;
	}
	if (length >= SPOIL_LENGTH) {
		if (job_spoils(job, FINDING_lost))
			stream->sent++;
		if (stream->sent && job_spoils(job, FINDING_duplicated))
			return stream->sent - 1;
		if (job_spoils(job, FINDING_reordered))
			stream->held = ++stream->sent;
	}
	return stream->sent++;
}

void message_fill(struct job *job, int peer, int tag, void *at, size_t length)
{
	struct stream *stream = stream_of(job, peer, tag);
	uint64_t number = number_next(job, stream, length);
	struct content_id id = job_content(job, 0, (uint32_t)job->rank, (uint32_t)peer, number);
	unsigned char *byte = at;

	id.tag = (uint32_t)tag;
	content_fill(at, length, &id);
	if (length >= SPOIL_LENGTH && job_spoils(job, FINDING_corrupted))
		byte[length / 2] ^= 0x10;
}

unsigned char *message_buffer(size_t length)
{
	unsigned char *buffer = malloc(length + CANARY_LENGTH);

	if (!buffer)
		abort();
	canary_put(buffer + length);
	return buffer;
}

void message_check(struct job *job, int peer, int tag, const void *at, size_t got, size_t expected)
{
	struct stream *stream = stream_of(job, peer, tag);
	struct arrivals *arrivals = &stream->arrivals;
	struct content_id id =
	        job_content(job, 0, (uint32_t)peer, (uint32_t)job->rank, arrivals->next);
	struct findings found = {0};
	uint64_t number;
	bool is_whole;

	id.tag = (uint32_t)tag;
	is_whole = content_identify(at, got, &id, &number);
	if (is_whole && got != expected && got < CONTENT_DISTINCT)
		is_whole = false;
	if (!is_whole) {
		job_found(job, FINDING_corrupted, "message", arrivals->next);
		number = arrivals->next;
	}
	arrivals_add(arrivals, number, &found);
	for (unsigned i = 0; i < FINDING_COUNT; i++) {
		/* What was counted as lost and comes late is taken off again. */
		if (i == FINDING_lost && found.count[i] == UINT64_MAX)
			job->findings[job->check].count[i]--;
		else
			for (uint64_t n = 0; n < found.count[i]; n++)
				job_found(job, i, "message", number);
	}
	job->messages++;
	job->bytes += got;
}

void message_check_status(struct job *job, int peer, int tag, const void *at,
        const MPI_Status *status, size_t expected)
{
	int count = -1;

	CALL(job, MPI_Get_count(status, MPI_BYTE, &count));
	if (status->MPI_SOURCE != peer || status->MPI_TAG != message_tag(job, tag))
		job_found(job, FINDING_corrupted, "source or tag of a status", (uint64_t)peer);
	if (count < 0 || (size_t)count > expected) {
		job_found(job, FINDING_corrupted, "count of a status", (uint64_t)count);
		return;
	}
	message_check(job, peer, tag, at, (size_t)count, expected);
}
