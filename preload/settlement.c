/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/settlement.h"

/* Is the last packet of @slot one of those before @psn? A part of a message is not execution. */
static bool is_before(const struct send_log *log, const struct send_slot *slot, uint32_t psn)
{
	return psn_distance(send_slot_end_psn(log, slot), psn) >= 0;
}

/*
 * @psn: what the responder has accepted, or our own device has sent. Local work takes no packet. It
 * was done before what follows it was sent, so it was if some of that is before @psn; nobody can
 * have heard of it else.
 */
static bool is_executed(const struct send_log *log, const struct send_slot *slot, uint32_t psn)
{
	if (opcode_is_local(slot->opcode))
		return psn_distance(slot->psn, psn) > 0;
	return is_before(log, slot, psn);
}

static void slot_is_executed(
        struct send_log *log, struct send_slot *slot, struct settlement *result)
{
	slot->fate = FATE_EXECUTED;
	log->executed++;
	result->executed++;
	result->made_up += !!(slot->flags & IBV_SEND_SIGNALED);
}

static void settle_slot(
        struct send_log *log, struct send_slot *slot, uint32_t rq_psn, struct settlement *result)
{
	bool past = rq_psn != PSN_UNKNOWN && is_executed(log, slot, rq_psn);

	/* A READ is done when its data is here. Executing it again is what a retry does, too. */
	if (slot->opcode == IBV_WR_RDMA_READ) {
		result->replayed++;
		return;
	}
	if (rq_psn == PSN_UNKNOWN || (past && opcode_is_atomic(slot->opcode))) {
		result->lost = true;
		return;
	}
	if (past)
		slot_is_executed(log, slot, result);
	else
		result->replayed++;
}

/* Where the open work begins; next_psn if there is none. */
static uint32_t first_open_psn(const struct send_log *log)
{
	for (uint32_t i = log->tail; i != log->posted; i++) {
		const struct send_slot *slot = send_log_at(log, i);

		if (slot->fate == FATE_OPEN)
			return slot->psn;
	}
	return log->next_psn;
}

/* Neither before what is done nor behind what was posted. */
static bool is_within(const struct send_log *log, uint32_t psn)
{
	return psn != PSN_UNKNOWN && psn_distance(log->next_psn, psn) <= 0 &&
	       psn_distance(first_open_psn(log), psn) >= 0;
}

/* Behind the last open work of which a RECV that has completed tells; tail if there is none. */
static uint32_t told_by_receives(const struct send_log *log, uint32_t receives)
{
	uint32_t told = log->tail;

	for (uint32_t i = log->tail; i != log->posted; i++) {
		const struct send_slot *slot = send_log_at(log, i);

		if (opcode_takes_receive(slot->opcode) && (int32_t)(receives - slot->receives) >= 0)
			told = i + 1;
	}
	return told;
}

struct settlement settle_sends_by_receives(struct send_log *log, uint32_t receives)
{
	const uint32_t told = told_by_receives(log, receives);
	struct settlement result = {0};

	for (uint32_t i = log->tail; i != log->posted && !result.lost; i++) {
		struct send_slot *slot = send_log_at(log, i);

		if (slot->fate != FATE_OPEN)
			continue;
		if (slot->opcode == IBV_WR_RDMA_READ)
			result.replayed++;
		else if ((int32_t)(told - i) > 0 && !opcode_is_atomic(slot->opcode))
			slot_is_executed(log, slot, &result);
		else
			result.lost = true;
	}
	return result;
}

struct settlement settle_sends(struct send_log *log, uint32_t rq_psn)
{
	struct settlement result = {0};

	if (log->tail == log->posted)
		return result;
	if (rq_psn != PSN_UNKNOWN && !is_within(log, rq_psn)) {
		result.contradicts = true;
		result.lost = true;
		return result;
	}
	for (uint32_t i = log->tail; i != log->posted && !result.lost; i++) {
		struct send_slot *slot = send_log_at(log, i);

		if (slot->fate == FATE_OPEN)
			settle_slot(log, slot, rq_psn, &result);
	}
	return result;
}

bool settlement_is_belied(const struct send_log *log, uint32_t receives)
{
	uint32_t taken = log->receives_done;

	for (uint32_t i = log->tail; i != log->posted; i++) {
		const struct send_slot *slot = send_log_at(log, i);

		if (slot->fate == FATE_EXECUTED)
			taken = slot->receives;
	}
	return (int32_t)(receives - taken) > 0;
}

bool settlement_psn_has_moved(const struct send_log *log, uint32_t sq_psn)
{
	return is_within(log, sq_psn) && sq_psn != log->first_psn;
}

struct settlement settle_sent(struct send_log *log, bool flushed, uint32_t sq_psn, bool is_kept)
{
	bool is_known = flushed &&
	                (is_kept ? is_within(log, sq_psn) : settlement_psn_has_moved(log, sq_psn));
	struct settlement result = {0};

	for (uint32_t i = log->tail; i != log->posted; i++) {
		struct send_slot *slot = send_log_at(log, i);

		if (slot->fate != FATE_OPEN)
			continue;
		if (is_known && !is_executed(log, slot, sq_psn))
			result.replayed++;
		else
			slot_is_executed(log, slot, &result);
	}
	return result;
}

struct settlement settle_sends_blindly(struct send_log *log)
{
	return (struct settlement){.replayed = log->posted - log->tail};
}

bool settlement_atomic_exposed(const struct send_log *log)
{
	for (uint32_t i = log->tail; i != log->posted; i++) {
		const struct send_slot *slot = send_log_at(log, i);

		if (slot->fate == FATE_OPEN && opcode_is_atomic(slot->opcode))
			return true;
	}
	return false;
}

/* A step by the golden section of the circle: the places of many steps lie well apart. */
uint32_t psn_far_from(uint32_t next_psn)
{
	const uint32_t step = 0x9e3779;

	return (next_psn + step) & PSN_MASK;
}

void implied_receives_add(struct implied_receives *implied, uint32_t psn)
{
	implied->count += psn_distance(psn, implied->rq_psn) >= 0;
}
