/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program from a seed. */
#include <string.h>

#include "model/chance.h"
#include "model/program.h"
#include "simfabric/qp_faults.h"

/* Of a program in the making. */
struct maker {
	struct program *program;
	struct chance chance;
	unsigned alive[LINKS_AT_ONCE]; /* links */
	unsigned alive_count;
	unsigned posted[ENDS_MOST], wanted[ENDS_MOST];
	unsigned taking[ENDS_MOST];   /* posted work that takes a RECV */
	unsigned received[ENDS_MOST]; /* RECVs posted on account of the end */
	unsigned moves_left, troubles_left;
	bool has_atomics; /* with one open nothing is broken: the others show more */
};

static unsigned below(struct maker *m, unsigned count)
{
	return chance_below(&m->chance, count);
}

static bool percent(struct maker *m, unsigned percents)
{
	return chance_percent(&m->chance, percents);
}

/* ---- links ---- */

/* Most are of a VM that moves: others show that they are left alone. */
static void draw_processes(struct maker *m, struct program_link *link)
{
	static const uint8_t pairs[][2] = {{PROCESS_A, PROCESS_P}, {PROCESS_P, PROCESS_A},
	        {PROCESS_A, PROCESS_B}, {PROCESS_A, PROCESS_A}, {PROCESS_B, PROCESS_P},
	        {PROCESS_A, PROCESS_Q}, {PROCESS_B, PROCESS_A}, {PROCESS_P, PROCESS_Q},
	        {PROCESS_A, PROCESS_P}, {PROCESS_Q, PROCESS_B}};

	memcpy(link->process, pairs[below(m, sizeof(pairs) / sizeof(*pairs))], 2);
}

static void draw_link(struct maker *m, unsigned index)
{
	struct program_link *link = &m->program->links[index];

	draw_processes(m, link);
	for (unsigned i = 0; i < 2; i++) {
		link->shares[i] = percent(m, 40);
		link->cq[i][0] = (uint8_t)below(m, PROCESS_CQS);
		link->cq[i][1] = (uint8_t)below(m, PROCESS_CQS);
		link->builders[i] = percent(m, 40);
		link->signal_all[i] = percent(m, 10);
		m->wanted[2 * index + i] = WORK_LEAST + below(m, 14);
	}
	link->mtu = percent(m, 80) ? IBV_MTU_256 : IBV_MTU_1024;
	link->depth = (uint8_t)chance_between(&m->chance, 8, 64);
	link->reads = (uint8_t)chance_between(&m->chance, 1, 4);
	link->rnr_retry = percent(m, 95) ? 7 : (uint8_t)below(m, 3);
	for (unsigned i = 0; i < 2; i++) {
		if (!link->shares[i] && !m->program->world.drop && percent(m, 8))
			link->starved |= (uint8_t)(1 << i);
	}
	m->alive[m->alive_count++] = index;
}

static void draw_links(struct maker *m)
{
	unsigned count = chance_between(&m->chance, 1, LINKS_AT_ONCE);

	m->program->link_count = count;
	for (unsigned i = 0; i < count; i++)
		draw_link(m, i);
}

static void draw_world(struct maker *m)
{
	struct program_world *world = &m->program->world;

	world->seed = chance_next(&m->chance);
	world->rxe = percent(m, 40);
	world->dead_rq_psn = percent(m, 10);
	if (percent(m, 50))
		world->drop = (uint8_t)chance_between(&m->chance, 1, 3);
	if (percent(m, 50))
		world->duplicate = (uint8_t)chance_between(&m->chance, 1, 10);
	if (percent(m, 50))
		world->delay = (uint8_t)chance_between(&m->chance, 1, 30);
	if (percent(m, 50))
		world->hold = (uint8_t)chance_between(&m->chance, 1, 50);
	if (percent(m, 80))
		world->stop_ms = (uint16_t)chance_between(&m->chance, 1, percent(m, 70) ? 3 : 60);
}

/* ---- work ---- */

static uint16_t draw_length(struct maker *m, const struct program_link *link)
{
	unsigned mtu = 128u << link->mtu;

	switch (below(m, 8)) {
	case 0:
		return (uint16_t)(mtu < MESSAGE_MOST ? mtu : MESSAGE_MOST);
	case 1:
		return (uint16_t)(mtu + 1 < MESSAGE_MOST ? mtu + 1 : MESSAGE_MOST);
	case 2:
	case 3:
		return (uint16_t)chance_between(&m->chance, 1, MESSAGE_MOST);
	case 4:
		return (uint16_t)chance_between(&m->chance, mtu < 1024 ? mtu : 512, MESSAGE_MOST);
	default:
		return (uint16_t)chance_between(&m->chance, 1, INLINE_MOST);
	}
}

enum { ATOMIC_OPCODES = 2 };

static uint8_t draw_opcode(struct maker *m)
{
	static const uint8_t opcodes[] = {IBV_WR_SEND, IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
	        IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	        IBV_WR_RDMA_READ, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
	        IBV_WR_ATOMIC_CMP_AND_SWP};

	return opcodes[below(m, sizeof(opcodes) - (m->has_atomics ? 0 : ATOMIC_OPCODES))];
}

static void draw_place(struct maker *m, struct work *work)
{
	if (work_is_atomic(work)) {
		work->place = PLACE_COUNTER;
		work->index = (uint8_t)below(m, COUNTERS);
		work->length = 8;
	} else if (work->opcode == IBV_WR_RDMA_READ) {
		work->place = percent(m, 50) ? PLACE_VERSIONED : PLACE_HOT;
		work->index =
		        (uint8_t)below(m, work->place == PLACE_HOT ? HOT_CELLS : VERSIONED_CELLS);
		work->length = work->place == PLACE_HOT ? HOT_BYTES : (work->length + 7) & ~7;
	} else if (work_writes(work) && percent(m, 30)) {
		work->place = PLACE_HOT;
		work->index = (uint8_t)below(m, HOT_CELLS);
		work->length = HOT_BYTES;
	} else if (work_writes(work)) {
		work->place = PLACE_CELL;
	}
}

static void draw_flags(struct maker *m, struct work *work)
{
	if (percent(m, 45))
		work->flags |= IBV_SEND_SIGNALED;
	if (percent(m, 20))
		work->flags |= IBV_SEND_FENCE;
	if (work_takes_receive(work) && percent(m, 35))
		work->flags |= IBV_SEND_SOLICITED;
	if (!work_has_answer(work) && work->length <= INLINE_MOST && percent(m, 40))
		work->flags |= IBV_SEND_INLINE;
}

static struct work draw_work(struct maker *m, const struct program_link *link)
{
	struct work work = {.opcode = draw_opcode(m), .operand = chance_next(&m->chance)};

	work.length = draw_length(m, link);
	draw_place(m, &work);
	if (work.place == PLACE_NONE && percent(m, 8))
		work.length = 0;
	work.sges = 1;
	if (!work_is_atomic(&work) && work.length >= SGES_MOST && percent(m, 30))
		work.sges = (uint8_t)chance_between(&m->chance, 1, SGES_MOST);
	draw_flags(m, &work);
	return work;
}

static void make_wrong(struct maker *m, struct work *work)
{
	bool is_remote = work_writes(work) || work_has_answer(work);

	if (!work->length)
		return;
	if (is_remote && percent(m, 60))
		work->wrong = percent(m, 50) ? WRONG_RKEY : WRONG_BOUNDS;
	else if (!(work->flags & IBV_SEND_INLINE))
		work->wrong = WRONG_LKEY;
}

/* ---- actions ---- */

static unsigned draw_end(struct maker *m)
{
	return 2 * m->alive[below(m, m->alive_count)] + below(m, 2);
}

static void add(struct maker *m, enum action_kind kind, unsigned of, unsigned how, unsigned count)
{
	program_add(m->program, (struct action){.kind = (uint8_t)kind,
	                                .of = (uint8_t)of,
	                                .how = (uint8_t)how,
	                                .count = (uint16_t)count});
}

/*
 * Where packets are lost RECVs are there before what takes them: whatever is lost while a queue
 * pair waits for one counts as a retry, and in the end there are too many.
 */
static void receives_come_first(struct maker *m, unsigned end, unsigned count)
{
	unsigned other = end_other(end), need = m->taking[end] + count;

	if (!m->program->world.drop || m->received[other] >= need)
		return;
	need += below(m, 8);
	add(m, ACTION_RECEIVE, other, RIGHT, need - m->received[other]);
	m->received[other] = need;
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
		m->taking[end] += work_takes_receive(&work);
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
	unsigned sent = m->taking[end_other(end)], have = m->received[end];
	unsigned count = sent > have ? sent - have : 0;

	count = percent(m, 30) ? count / 2 : count + below(m, 6);
	if (!count)
		return;
	m->received[end] += count;
	add(m, ACTION_RECEIVE, end, RIGHT, count);
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
		add(m, ACTION_RECEIVE, draw_end(m), percent(m, 50) ? WRONG_SHORT : WRONG_LKEY, 1);
		return;
	default:
		add_post(m, draw_end(m), true);
	}
}

static void add_something(struct maker *m)
{
	unsigned what = below(m, 100);

	if (what < 30)
		add_receives(m, draw_end(m));
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

/* Of several packets, of which the first ones pass. */
static void add_long_message(struct maker *m, unsigned end)
{
	static const uint8_t opcodes[] = {
	        IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM};
	struct work work = {.opcode = opcodes[below(m, sizeof(opcodes))],
	        .length = MESSAGE_MOST,
	        .sges = 1,
	        .operand = chance_next(&m->chance)};
	struct action post = {.kind = ACTION_POST, .of = (uint8_t)end, .count = 1};

	work.place = work_writes(&work) ? PLACE_CELL : PLACE_NONE;
	draw_flags(m, &work);
	receives_come_first(m, end, 1);
	m->taking[end] += work_takes_receive(&work);
	m->posted[end]++;
	post.first = program_add_work(m->program, &work);
	program_add(m->program, post);
}

/* What is asked just before a stop is then found in all states. */
static void add_fault(struct maker *m, unsigned end)
{
	unsigned how = chance_between(&m->chance, QP_HOLD, QP_FAULT_COUNT - 1);
	bool is_lost = how == QP_LOSE || how == QP_LOSE_ACKS || how == QP_LOSE_ANSWERS;
	bool in_part = (how == QP_HOLD || how == QP_LOSE) && percent(m, 60),
	     drops = m->program->world.drop;
	unsigned times = 0;

	/* Each time is a retry. */
	if (is_lost)
		times = chance_between(&m->chance, 1, drops ? 2 : 5);
	else if (how == QP_RNR && drops)
		times = 5;
	add(m, ACTION_FAULT, end, how,
	        fault_count(in_part ? chance_between(&m->chance, 1, 2) : 0, times));
	if (in_part)
		add_long_message(m, end);
	add_post(m, end, false);
}

static void add_faults(struct maker *m)
{
	for (unsigned i = 0; i < 2 * m->alive_count; i++) {
		if (percent(m, 40))
			add_fault(m, 2 * m->alive[i / 2] + (i & 1));
	}
}

/* What fails just before a stop is seen during it, what it takes along before it or after it. */
static void add_move(struct maker *m)
{
	unsigned end = draw_end(m), process = end_process(m->program, end);
	unsigned mover = process <= PROCESS_B ? process : PROCESS_A;
	bool fails = percent(m, 10);

	if (fails) {
		add(m, ACTION_RECEIVE, end, RIGHT, 2);
		m->received[end] += 2;
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
	add(m, ACTION_RECEIVE, end, RIGHT, 1);
	m->received[end]++;
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
	struct maker m = {.program = program_new(), .chance = {seed}};
	unsigned end;

	m.program->seed = seed;
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
