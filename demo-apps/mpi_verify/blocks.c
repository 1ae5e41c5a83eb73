/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/blocks.h"

/* The block of the operation before comes again; or that of the one after, so this one's never
 * will. */
const struct block_meaning block_of_collective = {FINDING_duplicated, FINDING_lost};
/* What was there before still is; or the next is there already. */
const struct block_meaning block_of_memory = {FINDING_lost, FINDING_reordered};

void block_fill(struct job *job, const struct block_meaning *meaning, void *at, size_t length,
        const struct content_id *id, unsigned senders)
{
	struct content_id filled = *id;
	unsigned char *byte = at;

	if (length < SPOIL_LENGTH) {
		content_fill(at, length, id);
		return;
	}
	if (job_spoils(job, meaning->earlier))
		filled.number--;
	else if (job_spoils(job, meaning->later))
		filled.number++;
	else if (senders > 1 && job_spoils(job, FINDING_reordered))
		filled.sender = (filled.sender + 1) % senders;
	content_fill(at, length, &filled);
	if (job_spoils(job, FINDING_corrupted))
		byte[length / 2] ^= 0x10;
}

static enum finding block_verdict(const struct block_meaning *meaning, const void *at,
        size_t length, const struct content_id *id, unsigned senders)
{
	struct content_id other = *id;
	uint64_t number;

	if (content_identify(at, length, id, &number)) {
		if (number == id->number)
			return FINDING_COUNT;
		return number < id->number ? meaning->earlier : meaning->later;
	}
	if (length < CONTENT_DISTINCT)
		return FINDING_corrupted;
	for (other.sender = 0; other.sender < senders; other.sender++)
		if (content_matches(at, length, &other))
			return FINDING_reordered;
	return FINDING_corrupted;
}

void block_check(struct job *job, const struct block_meaning *meaning, const void *at,
        size_t length, const struct content_id *id, unsigned senders)
{
	enum finding finding = block_verdict(meaning, at, length, id, senders);

	if (finding != FINDING_COUNT)
		job_found(job, finding, "block", id->number);
	job->messages++;
	job->bytes += length;
}
