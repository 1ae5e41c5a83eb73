/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Faults at will: what happens to the work of one queue pair (RC or XRC), from one packet of one
 * message on, until the rule is taken away. A rule names the queue pair that asks, so that each
 * state in which a work request can be found is one rule, whichever end it shows at:
 *
 *   not sent, or only its first packets           hold, lose
 *   executed and unacknowledged                   lose_acks
 *   acknowledged, its RECV not visible            hold_receives
 *   blocked by RNR                                rnr
 *   its answer lost, wholly or from a packet on   lose_answers
 *
 * The rules lie in the shared file as part of the data faults. Whoever has the queue pair finds out
 * which PSN a message of a rule has, and writes it down before the message is sent.
 */
#ifndef SIMFABRIC_QP_FAULTS_H
#define SIMFABRIC_QP_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/packet.h"

enum {
	QP_FAULTS_MAX = 256,
};

enum qp_fault_action {
	QP_FAULT_NONE,    /* the row is free */
	QP_HOLD,          /* requests are not sent */
	QP_LOSE,          /* requests are lost on the way */
	QP_LOSE_ACKS,     /* whatever acknowledges a request, the answer of a later READ as well */
	QP_LOSE_ANSWERS,  /* data of READs, answers of atomics */
	QP_HOLD_RECEIVES, /* the completions of RECVs at the other end */
	QP_RNR,           /* the other end says that it has no RECV */
	QP_FAULT_COUNT,
};

struct qp_fault {
	uint32_t action;
	uint32_t lid, qpn; /* of the queue pair that asks */
	uint32_t message;  /* so many more begin before it does */
	uint32_t packet;   /* of that message */
	uint32_t left;     /* so many times; UINT32_MAX: without end */
	uint32_t counted;  /* the PSN of the last message that was counted */
	uint32_t from_psn; /* of the message, known once it begins */
};

struct qp_faults {
	uint32_t count; /* rows that have ever been in use */
	struct qp_fault rows[QP_FAULTS_MAX];
};

/* Who asks. */
struct qp_name {
	uint32_t lid, qpn;
};

/*
 * May the packet of @psn not be sent now? Asked for each request by whoever has the queue pair,
 * before it is sent; @begins: it is the first one of a message that never was.
 */
bool qp_faults_hold(
        struct qp_faults *faults, const struct qp_name *asks, uint32_t psn, bool begins);
/* Is this packet, a request or an answer, lost? */
bool qp_faults_lose(struct qp_faults *faults, const struct packet *packet);
/* Does the completion of the RECV that the packet of @psn ended stay hidden? @is_new: not asked
 * before. */
bool qp_faults_hold_receive(
        struct qp_faults *faults, const struct qp_name *asks, uint32_t psn, bool is_new);
/* Is the packet of @psn, which wants a RECV, answered as if there were none? */
bool qp_faults_refuse(struct qp_faults *faults, const struct qp_name *asks, uint32_t psn);

/*
 * One setting, "LID/QPN:ACTION=WHERE" or "LID/QPN:pass", which takes away all rules of that one.
 * WHERE is MESSAGE[.PACKET][:TIMES], or @PSN[.PACKET][:TIMES]: from that packet of that message on,
 * at most so often. Messages count from 0, the next one that begins. -EINVAL: not understood;
 * -ENOSPC: too many rules.
 */
int qp_faults_set(struct qp_faults *faults, const char *setting);
void qp_faults_clear(struct qp_faults *faults);

#endif
