/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/ud_verify/stream.h"

#include "demo-apps/verify/message.h"

uint32_t stream_name(bool from_server, uint32_t from, uint32_t to)
{
	return message_stream(from_server, from << 8 | to, false);
}

static bool is_of(const void *at, size_t length, const struct datagram_ends *ends, uint32_t from,
        uint32_t to, uint64_t *number)
{
	return message_check(at, length, stream_name(ends->from_server, from, to), number) ==
	       MESSAGE_GOOD;
}

/* Also who got its own back gets it misdelivered. */
enum datagram_verdict datagram_check(
        const void *at, size_t length, const struct datagram_ends *ends, uint64_t *number)
{
	struct datagram_ends other = *ends;
	uint64_t unused;

	if (length < MESSAGE_MIN || length > MESSAGE_MAX)
		return DATAGRAM_CORRUPT;
	if (is_of(at, length, ends, ends->from, ends->to, number))
		return DATAGRAM_GOOD;
	other.from_server = !ends->from_server;
	for (uint32_t from = 0; from < ends->qps; from++) {
		if (is_of(at, length, ends, from, ends->to, &unused))
			return DATAGRAM_MISATTRIBUTED;
		for (uint32_t to = 0; to < ends->qps; to++) {
			if (is_of(at, length, ends, from, to, &unused) ||
			        is_of(at, length, &other, from, to, &unused))
				return DATAGRAM_MISDELIVERED;
		}
	}
	return DATAGRAM_CORRUPT;
}

static void loss_add(struct losses *losses, uint64_t first_us, uint64_t last_us, uint64_t datagrams)
{
	if (losses->count < LOSSES_KEPT)
		losses->kept[losses->count] = (struct loss){first_us, last_us, datagrams};
	losses->count++;
}

void stream_arrived(struct stream *stream, uint64_t number, uint64_t now_us,
        struct findings *findings, struct losses *losses)
{
	if (number > stream->numbers.next)
		loss_add(losses, stream->last_us, now_us, number - stream->numbers.next);
	sequence_check_arrived(&stream->numbers, number, findings);
	stream->last_us = now_us;
}

void stream_finish(struct stream *stream, uint64_t total, uint64_t now_us,
        struct findings *findings, struct losses *losses)
{
	if (total > stream->numbers.next)
		loss_add(losses, stream->last_us, now_us, total - stream->numbers.next);
	sequence_check_finish(&stream->numbers, total, findings);
}
