/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How many datagrams a queue pair has sent to each destination, or received from each sender, by
 * the numbers that applications know: LIDs, or names of GIDs where there are none, by each of which
 * it is known itself. Belongs to a queue pair; inside the gate of the queue. Counts
 * run on for as long as the queue pair lives, modulo 2^32.
 */
#ifndef TETHER_DATAGRAM_COUNTS_H
#define TETHER_DATAGRAM_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised it is empty. */
struct datagram_counts {
	struct datagram_count {
		uint64_t other; /* LID, or name, and QPN; 0: unused */
		uint32_t own;   /* name; 0: it has a LID */
		uint32_t count;
		uint32_t with_grh; /* of them */
		uint32_t settled;  /* of those sent: nobody has to wait for them any more */
	} * entries;
	uint32_t size, used; /* a power of two, or 0 */
};

static inline uint64_t datagram_other(uint32_t lid, uint32_t qpn)
{
	return (uint64_t)lid << 32 | qpn;
}

/*
 * NULL: no memory, or without a LID: then it is not counted. From an address that is new memory is
 * taken of the kernel itself, so that a signal handler may post.
 */
struct datagram_count *datagram_counts_at(
        struct datagram_counts *counts, uint32_t own, uint64_t other);
void datagram_counts_fini(struct datagram_counts *counts);

static inline void datagram_counts_add(
        struct datagram_counts *counts, uint32_t own, uint32_t lid, uint32_t qpn, bool has_grh)
{
	struct datagram_count *count = datagram_counts_at(counts, own, datagram_other(lid, qpn));

	if (!count)
		return;
	count->count++;
	count->with_grh += has_grh;
}

#endif
