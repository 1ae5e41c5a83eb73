/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a program meets just before a stop, so that each opcode with each flag is found in each
 * state, by each way. What a fault meets first is drawn as what is found least often: of several
 * messages one alone waits for a RECV, or is delivered in part.
 */
#include "model/program_make.h"

#include "simfabric/qp_faults.h"

/* So many are bound before a fault, and ended behind it. */
enum { WINDOWS_AT_ONCE = 3 };

struct fault {
	unsigned end, how;
	bool in_part;   /* the first packets of the message pass */
	uint8_t ending; /* the opcode that ends windows; 0: none does */
};

static void add_binds(struct maker *m, unsigned end)
{
	const struct work bind = {.opcode = IBV_WR_BIND_MW, .flags = IBV_SEND_SIGNALED, .sges = 1};
	unsigned other = end_other(end);

	if (m->received[other][0] < m->taking[end][0])
		add_receive(m, other, 0, m->taking[end][0] - m->received[other][0]);
	for (unsigned i = 0; i < WINDOWS_AT_ONCE; i++)
		add_work(m, end, &bind);
}

/* Of several packets; as much as can be said inline is, where packets are short. */
static void make_long(struct maker *m, const struct program_link *link, struct work *work)
{
	bool is_inline = link->mtu == IBV_MTU_256 && percent(m, 50);

	if (work_is_local(work) || work_has_answer(work))
		return;
	work->length = is_inline ? INLINE_MOST : MESSAGE_MOST;
	work->flags &= (uint8_t)~IBV_SEND_INLINE;
	work->flags |= is_inline ? IBV_SEND_INLINE : 0;
	if (work_writes(work))
		work->place = PLACE_CELL;
}

static void add_window_end(struct maker *m, const struct fault *fault, bool is_long)
{
	struct work work = {
	        .opcode = fault->ending, .sges = 1, .operand = chance_next(&m->of_windows)};

	if (fault->ending == IBV_WR_SEND_WITH_INV) {
		work.length = (uint16_t)chance_between(&m->of_windows, 1, INLINE_MOST);
		draw_flags(m, &work);
	} else {
		work.flags = window_percent(m, 50) ? IBV_SEND_SIGNALED : 0;
	}
	work.flags |= window_percent(m, 30) ? IBV_SEND_FENCE : 0;
	if (is_long)
		make_long(m, end_link(m->program, fault->end), &work);
	add_work(m, fault->end, &work);
}

static uint8_t draw_first_opcode(struct maker *m, const struct fault *fault)
{
	static const uint8_t answered[] = {IBV_WR_RDMA_READ, IBV_WR_RDMA_READ,
	        IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP};
	static const uint8_t messages[] = {IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE_WITH_IMM,
	        IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_WRITE};

	if (fault->how == QP_LOSE_ANSWERS)
		return m->has_atomics ? answered[below(m, sizeof(answered))] : IBV_WR_RDMA_READ;
	return messages[below(m, fault->how == QP_RNR ? 3 : 6)];
}

static void add_first(struct maker *m, const struct fault *fault)
{
	const struct program_link *link = end_link(m->program, fault->end);
	struct work work = draw_work_of(m, link, draw_first_opcode(m, fault));

	work.flags |= percent(m, 30) ? IBV_SEND_FENCE : 0;
	if (fault->in_part)
		make_long(m, link, &work);
	add_work(m, fault->end, &work);
}

static struct fault draw_fault(struct maker *m, unsigned end)
{
	static const uint8_t faults[] = {QP_HOLD, QP_HOLD, QP_HOLD, QP_LOSE, QP_LOSE_ACKS,
	        QP_LOSE_ACKS, QP_LOSE_ACKS, QP_LOSE_ANSWERS, QP_HOLD_RECEIVES, QP_RNR, QP_RNR};
	struct fault fault = {.end = end, .how = faults[below(m, sizeof(faults))]};

	fault.in_part = (fault.how == QP_HOLD || fault.how == QP_LOSE) && percent(m, 70);
	if (m->has_windows && !end_link(m->program, end)->xrc)
		fault.ending = window_percent(m, 70) ? IBV_WR_SEND_WITH_INV : IBV_WR_LOCAL_INV;
	return fault;
}

/* Each time is a retry. */
static unsigned draw_times(struct maker *m, const struct fault *fault)
{
	bool is_lost = fault->how == QP_LOSE || fault->how == QP_LOSE_ANSWERS;
	bool drops = m->program->world.drop;

	if (fault->how == QP_LOSE_ACKS)
		return drops ? 2 : 6;
	if (is_lost)
		return chance_between(&m->chance, 1, drops ? 2 : 5);
	return fault->how == QP_RNR && drops ? 10 : 0;
}

/* Each acknowledgement that is lost counts: where little waits for one it is lost for longer. */
static void add_fault(struct maker *m, const struct fault *fault)
{
	unsigned times = draw_times(m, fault);
	bool ends_before = fault->ending == IBV_WR_SEND_WITH_INV;
	bool is_alone = fault->how == QP_LOSE_ACKS && percent(m, 75);

	add_action(m, ACTION_FAULT, fault->end, fault->how,
	        fault_count(fault->in_part ? chance_between(&m->chance, 1, 2) : 0, times));
	if (!ends_before)
		add_first(m, fault);
	if (!ends_before && !is_alone)
		add_post(m, fault->end, false);
	for (unsigned i = 0; fault->ending && i < (is_alone ? 1 : WINDOWS_AT_ONCE); i++)
		add_window_end(m, fault, fault->in_part && !i);
	if (ends_before && !is_alone)
		add_post(m, fault->end, false);
}

/* Whose windows the fault's end is to end. */
static unsigned windows_of(const struct fault *fault)
{
	return fault->ending == IBV_WR_LOCAL_INV ? fault->end : end_other(fault->end);
}

/* So that they are known to be bound, and what ends one has one to end. */
static void add_windows(struct maker *m, const struct fault *faults, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (faults[i].ending)
			add_binds(m, windows_of(&faults[i]));
	}
	for (unsigned turn = 0; m->has_windows && turn < 3; turn++) {
		add_action(m, ACTION_RUN, 0, 0, 100);
		for (unsigned i = 0; i < count; i++) {
			unsigned end = windows_of(&faults[i]);

			if (faults[i].ending)
				add_action(m, ACTION_POLL, end_process(m->program, end),
				        end_link(m->program, end)->cq[end & 1][0], 16);
		}
	}
}

/* Each way to ask is to be found as often as another. */
static unsigned fault_percents(const struct maker *m, unsigned end, unsigned mover)
{
	bool is_peer = end_process(m->program, end) != mover;
	unsigned percents = end_shares(m->program, end_other(end)) ? 45 : 30;

	if (!end_posts(m->program, end))
		return 0;
	if (is_peer && end_process(m->program, end_other(end)) != mover)
		return 10;
	if (end_link(m->program, end)->xrc)
		percents = 70;
	return is_peer ? percents + 20 : percents;
}

/* What is to be over by then comes before the first fault, of which little may be left else. */
void add_faults(struct maker *m, unsigned mover)
{
	struct fault faults[2 * LINKS_AT_ONCE];
	unsigned count = 0;

	for (unsigned i = 0; i < 2 * m->alive_count; i++) {
		unsigned end = 2 * m->alive[i / 2] + (i & 1);

		if (percent(m, fault_percents(m, end, mover)))
			faults[count++] = draw_fault(m, end);
	}
	add_windows(m, faults, count);
	for (unsigned i = 0; i < count; i++)
		add_fault(m, &faults[i]);
}
