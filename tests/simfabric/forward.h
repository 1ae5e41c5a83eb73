/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Where a packet goes: walks the linear forwarding tables hop by hop, as they stand at this
 * instant. Pure reading of the shared file; takes no lock (an LFT block changes under a reader's
 * eyes, as it does in a switch).
 */
#ifndef SIMFABRIC_FORWARD_H
#define SIMFABRIC_FORWARD_H

#include <stdint.h>

struct fabric;

enum {
	FORWARD_MAX_HOPS = 64, /* longer than any path here: a loop */
};

/*
 * Follow @dlid from end port @from. @port_index and the result count in the file's table of ports.
 * A CA port delivers to itself when @dlid is its own. Returns 0 with *@to set to the end port (or a
 * switch's port 0) that accepts @dlid, -ENETUNREACH (entry 255 or beyond the table), -ELOOP,
 * -ENETDOWN (a link on the way is not up or not Active), -EHOSTUNREACH (arrived at a port that does
 * not have this LID). *@hops, where not NULL, counts links walked.
 */
int forward_unicast(
        const struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t *to, unsigned *hops);

/*
 * The same for LID-routed SMPs (VL15): links need to be up, not Active. *@arrival is the port by
 * which it comes in: @to, or an external port of its switch.
 */
int forward_smp(const struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t *to,
        uint32_t *arrival, unsigned *hops);

/*
 * As forward_unicast, and each link on the way counts @packets with @bytes in all; where they are
 * lost, a discard.
 */
int forward_data(struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t packets,
        uint64_t bytes, uint32_t *to, unsigned *hops);

/*
 * Follow multicast LID @mlid from end port @from: @reach for each CA port that a copy arrives at,
 * never for @from. Copies that meet no Active link are lost, others are not. Switches are visited
 * once: where tables form a loop hardware would send copies round and round.
 */
void forward_multicast(const struct fabric *fabric, uint32_t from, uint16_t mlid,
        void (*reach)(void *arg, uint32_t port), void *arg);

static inline int forward_is_multicast(uint16_t lid)
{
	return lid >= 0xc000 && lid != 0xffff;
}

/* IBA 10.9.3: the P_Keys of both ends match and not both are limited members. Masked entries, host
 * order. */
int forward_pkey_matches(uint16_t a, uint16_t b);

#endif
