/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program from a seed: what is done, one thing after the other. */
#include "model/program_make.h"

#include "simfabric/qp_faults.h"

static unsigned draw_end(struct maker *m)
{
	return 2 * m->alive[below(m, m->alive_count)] + below(m, 2);
}

static unsigned draw_sender(struct maker *m)
{
	unsigned end = draw_end(m);

	return end_posts(m->program, end) ? end : end_other(end);
}

static unsigned draw_receiver(struct maker *m)
{
	unsigned end = draw_end(m);

	return end_receives(m->program, end) ? end : end_other(end);
}

static void add(struct maker *m, enum action_kind kind, unsigned of, unsigned how, unsigned count)
{
	program_add(m->program, (struct action){.kind = (uint8_t)kind,
	                                .of = (uint8_t)of,
	                                .how = (uint8_t)how,
	                                .count = (uint16_t)count});
}

static void add_receive(struct maker *m, unsigned end, unsigned srq, unsigned count)
{
	add(m, ACTION_RECEIVE, end, receive_how(RIGHT, srq), count);
	m->received[end][srq] += count;
}

/*
 * Where packets are lost RECVs are there before what takes them: whatever is lost while a queue
 * pair waits for one counts as a retry, and in the end there are too many.
 */
static void receives_come_first(struct maker *m, unsigned end, unsigned count)
{
	unsigned other = end_other(end);

	for (unsigned srq = 0; srq < end_srqs(m->program, other); srq++) {
		unsigned need = m->taking[end][srq] + count;

		if (!m->program->world.drop || m->received[other][srq] >= need)
			continue;
		need += below(m, 8);
		add_receive(m, other, srq, need - m->received[other][srq]);
	}
}

static void note_taking(struct maker *m, unsigned end, const struct work *work)
{
	m->taking[end][work_srq(m->program, end, work)] += work_takes_receive(work);
}

static void add_post(struct maker *m, unsigned end, bool wrong)
{
	unsigned count = chance_between(&m->chance, 1, percent(m, 20) ? 9 : 4);
	unsigned first = m->program->work_count;

	receives_come_first(m, end, count);
	for (unsigned i = 0; i < count; i++) {
		struct work work = draw_work(m, end_link(m->program, end));

		if (wrong && i == count / 2)
			make_wrong(m, &work);
		note_taking(m, end, &work);
		program_add_work(m->program, &work);
	}
	m->posted[end] += count;
	program_add(m->program, (struct action){.kind = ACTION_POST,
	                                .of = (uint8_t)end,
	                                .count = (uint16_t)count,
	                                .first = first});
}

/* For what the other end sends: mostly enough, sometimes ahead, sometimes late. */
static void add_receives(struct maker *m, unsigned end)
{
	for (unsigned srq = 0; srq < end_srqs(m->program, end); srq++) {
		unsigned sent = m->taking[end_other(end)][srq], have = m->received[end][srq];
		unsigned count = sent > have ? sent - have : 0;

		count = percent(m, 30) ? count / 2 : count + below(m, 6);
		if (count)
			add_receive(m, end, srq, count);
	}
}

static void replace_link(struct maker *m)
{
	unsigned which = below(m, m->alive_count), link = m->alive[which];
	unsigned next = m->program->link_count;

	if (next == LINKS_MOST)
		return;
	add(m, ACTION_DESTROY, link, below(m, 2), 0);
	m->alive[which] = m->alive[--m->alive_count];
	m->program->link_count++;
	draw_link(m, next);
	m->program->links[next].is_late = true;
	add(m, ACTION_CONNECT, next, 0, 0);
}

static void add_wrong_receive(struct maker *m)
{
	enum wrong wrong = percent(m, 50) ? WRONG_SHORT : WRONG_LKEY;
	unsigned end = draw_receiver(m);
	unsigned srq = chance_below(&m->of_xrc, end_srqs(m->program, end));

	add(m, ACTION_RECEIVE, end, receive_how(wrong, srq), 1);
}

static void add_trouble(struct maker *m)
{
	switch (below(m, 6)) {
	case 0:
		add(m, ACTION_FAIL, draw_end(m), 0, 0);
		return;
	case 1:
	case 2:
		replace_link(m);
		return;
	case 3:
		add_wrong_receive(m);
		return;
	default:
		add_post(m, draw_sender(m), true);
	}
}

static void add_something(struct maker *m)
{
	unsigned what = below(m, 100);

	if (what < 30)
		add_receives(m, draw_receiver(m));
	else if (what < 55)
		add(m, ACTION_POLL, below(m, PROCESSES), below(m, PROCESS_CQS),
		        chance_between(&m->chance, 1, 16));
	else if (what < 62)
		add(m, ACTION_TOUCH, draw_end(m), below(m, VERSIONED_CELLS), 0);
	else if (what < 85)
		add(m, ACTION_RUN, 0, 0, chance_between(&m->chance, 1, percent(m, 20) ? 200 : 20));
	else
		add(m, ACTION_PIECE, 0, 0, chance_between(&m->chance, 1, 4));
}

/* An end that has not posted all that it is to; ENDS_MOST: all have. */
static unsigned draw_poster(struct maker *m)
{
	unsigned ends[2 * LINKS_AT_ONCE], count = 0;

	for (unsigned i = 0; i < 2 * m->alive_count; i++) {
		unsigned end = 2 * m->alive[i / 2] + (i & 1);

		if (m->posted[end] < m->wanted[end])
			ends[count++] = end;
	}
	return count ? ends[below(m, count)] : ENDS_MOST;
}

static void add_work(struct maker *m, unsigned end, const struct work *work)
{
	struct action post = {.kind = ACTION_POST, .of = (uint8_t)end, .count = 1};

	receives_come_first(m, end, 1);
	note_taking(m, end, work);
	m->posted[end]++;
	post.first = program_add_work(m->program, work);
	program_add(m->program, post);
}

/* Of several packets, of which the first ones pass. */
static void add_long_message(struct maker *m, unsigned end)
{
	static const uint8_t opcodes[] = {
	        IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM};
	struct work work = {.opcode = opcodes[below(m, sizeof(opcodes))],
	        .length = MESSAGE_MOST,
	        .sges = 1,
	        .operand = chance_next(&m->chance)};

	work.place = work_writes(&work) ? PLACE_CELL : PLACE_NONE;
	draw_flags(m, &work);
	add_work(m, end, &work);
}

/* So many are bound before a fault, and ended behind it. */
enum { WINDOWS_AT_ONCE = 3 };

/* Windows of @end's that are known to be bound, so that what ends one has one to end. */
static void add_bound_windows(struct maker *m, unsigned end)
{
	const struct work bind = {.opcode = IBV_WR_BIND_MW, .flags = IBV_SEND_SIGNALED, .sges = 1};
	const uint8_t *cq = end_link(m->program, end)->cq[end & 1];
	unsigned other = end_other(end);

	if (m->received[other][0] < m->taking[end][0])
		add_receive(m, other, 0, m->taking[end][0] - m->received[other][0]);
	for (unsigned i = 0; i < WINDOWS_AT_ONCE; i++)
		add_work(m, end, &bind);
	for (unsigned i = 0; i < 3; i++) {
		add(m, ACTION_RUN, 0, 0, 100);
		add(m, ACTION_POLL, end_process(m->program, end), cq[0], 16);
	}
}

static void add_window_end(struct maker *m, unsigned end, uint8_t opcode, bool is_long)
{
	struct work work = {.opcode = opcode, .sges = 1, .operand = chance_next(&m->of_windows)};

	if (opcode == IBV_WR_SEND_WITH_INV) {
		work.length = is_long ? MESSAGE_MOST
		                      : (uint16_t)chance_between(&m->of_windows, 1, INLINE_MOST);
		draw_flags(m, &work);
		work.flags |= window_percent(m, 30) ? IBV_SEND_FENCE : 0;
	} else {
		work.flags = window_percent(m, 50) ? IBV_SEND_SIGNALED : 0;
		work.flags |= window_percent(m, 30) ? IBV_SEND_FENCE : 0;
	}
	add_work(m, end, &work);
}

/* What is asked just before a stop is then found in all states. */
static void add_fault(struct maker *m, unsigned end)
{
	unsigned how = chance_between(&m->chance, QP_HOLD, QP_FAULT_COUNT - 1);
	bool is_lost = how == QP_LOSE || how == QP_LOSE_ACKS || how == QP_LOSE_ANSWERS;
	bool in_part = (how == QP_HOLD || how == QP_LOSE) && percent(m, 60),
	     drops = m->program->world.drop;
	bool ends_window = m->has_windows && !end_link(m->program, end)->xrc;
	uint8_t opcode =
	        ends_window && window_percent(m, 70) ? IBV_WR_SEND_WITH_INV : IBV_WR_LOCAL_INV;
	unsigned times = 0;

	if (ends_window)
		add_bound_windows(m, opcode == IBV_WR_LOCAL_INV ? end : end_other(end));

	/* Each time is a retry. */
	if (is_lost)
		times = chance_between(&m->chance, 1, drops ? 2 : 5);
	else if (how == QP_RNR && drops)
		times = 5;
	add(m, ACTION_FAULT, end, how,
	        fault_count(in_part ? chance_between(&m->chance, 1, 2) : 0, times));
	if (in_part && (!ends_window || opcode == IBV_WR_LOCAL_INV))
		add_long_message(m, end);
	if (opcode == IBV_WR_LOCAL_INV)
		add_post(m, end, false);
	for (unsigned i = 0; ends_window && i < WINDOWS_AT_ONCE; i++)
		add_window_end(m, end, opcode, in_part && !i);
	if (opcode != IBV_WR_LOCAL_INV)
		add_post(m, end, false);
}

static void add_faults(struct maker *m)
{
	for (unsigned i = 0; i < 2 * m->alive_count; i++) {
		unsigned end = 2 * m->alive[i / 2] + (i & 1);

		if (percent(m, 40) && end_posts(m->program, end))
			add_fault(m, end);
	}
}

/* What fails just before a stop is seen during it, what it takes along before it or after it. */
static void add_move(struct maker *m)
{
	unsigned end = draw_sender(m), process = end_process(m->program, end);
	unsigned mover = process <= PROCESS_B ? process : PROCESS_A;
	bool fails = percent(m, 10), receives = end_receives(m->program, end);

	if (fails) {
		if (receives)
			add_receive(m, end, 0, 2);
		add_post(m, end, true);
	}
	add(m, ACTION_RUN, 0, 0, chance_between(&m->chance, 1, fails ? 5 : 60));
	if (!fails)
		mover = percent(m, 65) ? PROCESS_A : PROCESS_B;
	add(m, ACTION_MOVE, mover, 0, 0);
	if (!fails)
		return;
	add(m, ACTION_PIECE, 0, 0, 2);
	add(m, ACTION_RUN, 0, 0, 20);
	add(m, ACTION_POLL, process, end_link(m->program, end)->cq[end & 1][1], 16);
	if (receives)
		add_receive(m, end, 0, 1);
}

/* So far apart that all of them come while there is work to post. */
static void maybe_move(struct maker *m)
{
	unsigned left = 0;

	for (unsigned i = 0; i < 2 * m->alive_count; i++) {
		unsigned end = 2 * m->alive[i / 2] + (i & 1);

		left += m->posted[end] < m->wanted[end] ? m->wanted[end] - m->posted[end] : 0;
	}
	if (!m->moves_left || (left > 12 && below(m, left / 4) >= m->moves_left))
		return;
	m->moves_left--;
	add_faults(m);
	add_move(m);
}

struct program *program_make(uint64_t seed)
{
	struct maker m = {.program = program_new(),
	        .chance = {seed},
	        .of_xrc = {chance_mix(seed)},
	        .of_windows = {chance_mix(seed + 1)}};
	unsigned end;

	m.program->seed = seed;
	m.has_xrc = chance_percent(&m.of_xrc, 50);
	m.has_windows = chance_percent(&m.of_windows, 40);
	m.program->world.apart = chance_percent(&m.of_xrc, 50);
	draw_world(&m);
	draw_links(&m);
	m.has_atomics = percent(&m, 55);
	m.moves_left = chance_between(&m.chance, 2, 4);
	m.troubles_left = percent(&m, 40) ? chance_between(&m.chance, 1, 3) : 0;
	while ((end = draw_poster(&m)) != ENDS_MOST) {
		add_post(&m, end, false);
		for (unsigned i = below(&m, 5); i; i--)
			add_something(&m);
		maybe_move(&m);
		if (m.troubles_left && below(&m, 100) == 0) {
			m.troubles_left--;
			add_trouble(&m);
		}
	}
	while (m.moves_left--)
		add(&m, ACTION_MOVE, PROCESS_A, 0, 0);
	program_signal_enough(m.program);
	return m.program;
}
