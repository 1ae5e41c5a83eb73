/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdio.h>
#include <string.h>

#include "tests/model/injected.h"

enum { ONE_IN_COURSES = 10 };

/* splitmix64. */
uint32_t injected_draw(struct injected *c, uint32_t count)
{
	uint64_t z = c->dice += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(((z ^ z >> 31) >> 32) * count >> 32);
}

bool planned_takes_receive(const struct planned *work)
{
	return work->opcode == IBV_WR_SEND || work->opcode == IBV_WR_SEND_WITH_IMM ||
	       work->opcode == IBV_WR_SEND_WITH_INV || work->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

bool planned_is_atomic(const struct planned *work)
{
	return work->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	       work->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
}

bool planned_writes(const struct planned *work)
{
	return work->opcode == IBV_WR_RDMA_WRITE || work->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

bool injected_buffer_may_be_lost(const struct injected *c)
{
	return !c->is_mlx5 && c->cell.target != TARGET_RQ &&
	       (c->from_vm || c->course == COURSE_BACK);
}

/* ---- one work request ---- */

/* None, one byte, and around what fits into one packet, into few and into many. */
static uint32_t draw_length(struct injected *c)
{
	uint32_t mtu = injected_mtu(c);
	const uint32_t lengths[] = {0, 1, 8, mtu - 1, mtu, mtu + 1, 2 * mtu, 2 * mtu + 1,
	        3 * mtu - 1, 5 * mtu + 3, 66 * 256};
	uint32_t which = injected_draw(c, sizeof(lengths) / sizeof(lengths[0]) * 4 - 3);

	return lengths[which / 4];
}

static bool is_in_parts(const struct injected *c)
{
	return c->cell.state == WORK_PARTLY_DELIVERED;
}

/* What is in parts is longer than a packet, also inline. */
static enum ibv_mtu draw_mtu(struct injected *c)
{
	bool is_long_inline = is_in_parts(c) && c->cell.manner == MANNER_INLINE;

	return IBV_MTU_256 + injected_draw(c, is_long_inline ? 2 : 3);
}

static uint32_t draw_long_length(struct injected *c)
{
	uint32_t length;

	do {
		length = draw_length(c);
	} while (length <= injected_mtu(c));
	return length;
}

static uint32_t draw_inline_length(struct injected *c)
{
	uint32_t mtu = injected_mtu(c);
	const uint32_t lengths[] = {
	        0, 1, 8, 63, mtu - 1, mtu, mtu + 1, CASE_INLINE - 1, CASE_INLINE};
	uint32_t length;

	do {
		length = lengths[injected_draw(c, sizeof(lengths) / sizeof(lengths[0]))];
	} while (length > CASE_INLINE || (is_in_parts(c) && length <= mtu));
	return length;
}

/* In front of the subject and behind it: whatever is there. */
static void plan_neighbour(struct injected *c, struct planned *work, bool may_be_atomic)
{
	static const enum ibv_wr_opcode of[] = {IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
	        IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ,
	        IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP};

	work->opcode = of[injected_draw(c, may_be_atomic ? 7 : 5)];
	work->flags = injected_draw(c, 2) ? IBV_SEND_SIGNALED : 0;
	work->flags |= injected_draw(c, 6) ? 0 : IBV_SEND_FENCE;
	work->length = draw_length(c);
	if (work->length == 66 * 256 && injected_draw(c, 4))
		work->length = 8;
}

static void plan_subject(struct injected *c, struct planned *work)
{
	work->opcode = opcodes[c->cell.opcode];
	work->flags = c->cell.manner == MANNER_UNSIGNALLED ? 0
	              : c->cell.manner == MANNER_SIGNALLED || injected_draw(c, 2)
	                      ? IBV_SEND_SIGNALED
	                      : 0;
	work->flags |= c->cell.manner == MANNER_FENCED      ? IBV_SEND_FENCE
	               : c->cell.manner == MANNER_SOLICITED ? IBV_SEND_SOLICITED
	               : c->cell.manner == MANNER_INLINE    ? IBV_SEND_INLINE
	                                                    : 0;
	if (c->cell.manner == MANNER_INLINE)
		work->length = draw_inline_length(c);
	else if (is_in_parts(c))
		work->length = draw_long_length(c);
	else
		work->length = draw_length(c);
}

/* ---- the rules ---- */

static void add_rule(struct injected *c, const char *action, unsigned message, uint32_t packet)
{
	unsigned i = 0;

	while (c->rules[i][0])
		i++;
	snprintf(c->rules[i], sizeof(c->rules[i]), "%s=%u.%u", action, message, packet);
}

/* A fence waits for the answers before it, which must not be lost then. */
static unsigned draw_first_concerned(struct injected *c)
{
	bool is_fenced = false;

	for (unsigned i = 0; i <= c->subject; i++)
		is_fenced |= c->works[i].flags & IBV_SEND_FENCE;
	return is_fenced ? c->subject : injected_draw(c, c->subject + 1);
}

/* Kept by the library, held by the device, lost on the way, or behind what is blocked. */
static void plan_not_sent(struct injected *c)
{
	unsigned way = injected_draw(c, 4);

	if (c->course == COURSE_MOVE && (way == 0 || planned_is_atomic(&c->works[c->subject]))) {
		for (unsigned i = c->subject; i < c->count; i++)
			c->works[i].is_kept = true;
		return;
	}
	if (way == 1 && c->subject && planned_takes_receive(&c->works[0]) &&
	        !planned_is_atomic(&c->works[c->subject])) {
		add_rule(c, "rnr", 0, 0);
		return;
	}
	add_rule(c, way == 2 ? "lose" : "hold", draw_first_concerned(c), 0);
}

static void plan_rnr(struct injected *c)
{
	if (injected_draw(c, 2)) {
		add_rule(c, "rnr", c->subject, 0);
		return;
	}
	c->receives = 0;
	for (unsigned i = 0; i < c->subject; i++)
		c->receives += planned_takes_receive(&c->works[i]);
}

static void plan_executed(struct injected *c)
{
	add_rule(c, "lose_acks", draw_first_concerned(c), 0);
	c->receive_is_hidden = planned_takes_receive(&c->works[c->subject]) && !injected_draw(c, 3);
	if (c->receive_is_hidden)
		add_rule(c, "hold_receives", c->subject, 0);
}

static void plan_no_answer(struct injected *c)
{
	uint32_t packets = planned_packets(c, &c->works[c->subject]);

	if (planned_is_atomic(&c->works[c->subject]))
		add_rule(c, injected_draw(c, 2) ? "lose_answers" : "lose_acks",
		        draw_first_concerned(c), 0);
	else if (injected_draw(c, 2))
		add_rule(c, "lose_answers", c->subject, injected_draw(c, packets));
	else
		add_rule(c, "lose_acks", draw_first_concerned(c), 0);
}

static void plan_rules(struct injected *c)
{
	switch (c->cell.state) {
	case WORK_NOT_SENT:
		plan_not_sent(c);
		break;
	case WORK_PARTLY_DELIVERED:
		add_rule(c, injected_draw(c, 2) ? "lose" : "hold", c->subject,
		        1 + injected_draw(c, planned_packets(c, &c->works[c->subject]) - 1));
		break;
	case WORK_EXECUTED:
		plan_executed(c);
		break;
	case WORK_ANSWER_LOST:
		plan_no_answer(c);
		break;
	case WORK_RNR_BLOCKED:
		plan_rnr(c);
		break;
	default:
		c->receive_is_hidden = true;
		add_rule(c, "hold_receives", draw_first_concerned(c), 0);
		break;
	}
}

/* ---- the whole ---- */

/* What waits for an atomic does not move before it has its answer. */
static enum course draw_course(struct injected *c)
{
	enum ibv_wr_opcode opcode = opcodes[c->cell.opcode];
	unsigned dice = injected_draw(c, ONE_IN_COURSES);

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD || opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
		if (c->cell.state == WORK_NOT_SENT && dice < 4)
			return COURSE_MOVE;
		return dice % 2 ? COURSE_WAITED : COURSE_REFUSED;
	}
	return dice == 0 ? COURSE_BACK : dice == 1 ? COURSE_DEAD : COURSE_MOVE;
}

static uint32_t draw_psn(struct injected *c)
{
	static const uint32_t psns[] = {0, 1, 0x123456, 0x7ffffd, 0x800000, 0xfffff0};

	return psns[injected_draw(c, sizeof(psns) / sizeof(psns[0]))] + injected_draw(c, 15);
}

static void place_buffer(struct injected *c, const struct planned *work, uint32_t longest)
{
	uint32_t length = !work || planned_writes(work) ? 8 : work->length + injected_draw(c, 8);

	if (c->cell.target != TARGET_RQ)
		length = longest + 8;
	c->buffers[c->buffer_count].at = c->used;
	c->buffers[c->buffer_count++].length = length;
	c->used += (length + 2 * CASE_GUARD) & ~7u;
}

/* One for each message that takes one, and one for the last. */
static void place_buffers(struct injected *c)
{
	uint32_t longest = 0;

	for (unsigned i = 0; i < c->count; i++)
		if (planned_takes_receive(&c->works[i]) && c->works[i].length > longest)
			longest = c->works[i].length;
	for (unsigned i = 0; i < c->count; i++)
		if (planned_takes_receive(&c->works[i]))
			place_buffer(c, &c->works[i], longest);
	place_buffer(c, NULL, longest);
	/* See injected_buffer_may_be_lost. */
	if (injected_buffer_may_be_lost(c))
		place_buffer(c, NULL, longest);
}

static void place(struct injected *c)
{

	for (unsigned i = 0; i < c->count; i++) {
		struct planned *work = &c->works[i];

		if (planned_is_atomic(work))
			work->length = sizeof(uint64_t);
		work->local = work->remote = c->used;
		c->used += (work->length + 2 * CASE_GUARD) & ~7u;
		work->before = injected_draw(c, 1000);
		work->operand = 1 + injected_draw(c, 1000);
	}
	place_buffers(c);
}

void injected_make(struct injected *c, const struct cell *cell, uint32_t number)
{
	unsigned before;

	memset(c, 0, sizeof(*c));
	c->cell = *cell;
	c->number = number;
	c->dice = ((uint64_t)cell->opcode << 24 | (uint64_t)cell->manner << 20 |
	                  (uint64_t)cell->target << 16 | (uint64_t)cell->state << 12) +
	          ((uint64_t)number << 32);
	c->is_mlx5 = injected_draw(c, 2);
	c->course = draw_course(c);
	c->from_vm = injected_draw(c, 2);
	c->polls = injected_draw(c, 2);
	c->peer = 1 + injected_draw(c, 2);
	c->mtu = draw_mtu(c);
	c->first_psn = draw_psn(c) & PACKET_PSN_MASK;
	c->subject = before = injected_draw(c, 4);
	c->count = before + 1 + injected_draw(c, CASE_WORKS - 3);
	for (unsigned i = 0; i < c->count; i++) {
		if (i == c->subject)
			plan_subject(c, &c->works[i]);
		else
			plan_neighbour(c, &c->works[i], false);
	}
	place(c);
	c->receives = c->buffer_count - injected_draw(c, 2);
	plan_rules(c);
}
