/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What comes from one QP of the other side to one of ours, checked datagram by datagram: is it of
 * this stream, unchanged, new? Where a number is missing, when that must have been. Pure; owned by
 * the run.
 */
#ifndef UD_VERIFY_STREAM_H
#define UD_VERIFY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "demo-apps/verify/findings.h"
#include "demo-apps/verify/sequence_check.h"

struct stream {
	struct sequence_check numbers;
	uint64_t last_us; /* when one came last */
};

/* Names a stream in its messages: from which QP of which side to which. */
uint32_t stream_name(bool from_server, uint32_t from, uint32_t to);

/* What a datagram turns out to be. */
enum datagram_verdict {
	DATAGRAM_GOOD,
	DATAGRAM_CORRUPT,
	DATAGRAM_MISDELIVERED,  /* sent to another of our QPs */
	DATAGRAM_MISATTRIBUTED, /* sent by another than the completion says */
};

struct datagram_ends {
	bool from_server;
	uint32_t from, to; /* as the completion says */
	uint32_t qps;      /* of each side */
};

enum datagram_verdict datagram_check(
        const void *at, size_t length, const struct datagram_ends *ends, uint64_t *number);

/* Times between which datagrams were lost that nobody has seen since. */
enum { LOSSES_KEPT = 256 };
struct losses {
	unsigned count; /* in all, kept or not */
	struct loss {
		uint64_t first_us, last_us;
		uint64_t datagrams;
	} kept[LOSSES_KEPT];
};

void stream_arrived(struct stream *stream, uint64_t number, uint64_t now_us,
        struct findings *findings, struct losses *losses);
/* The other side has sent @total. */
void stream_finish(struct stream *stream, uint64_t total, uint64_t now_us,
        struct findings *findings, struct losses *losses);

#endif
