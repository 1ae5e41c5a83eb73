/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program from a seed: what is done, one thing after the other. */
#include "model/program_make.h"

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

void add_action(struct maker *m, enum action_kind kind, unsigned of, unsigned how, unsigned count)
{
	program_add(m->program, (struct action){.kind = (uint8_t)kind,
	                                .of = (uint8_t)of,
	                                .how = (uint8_t)how,
	                                .count = (uint16_t)count});
}

void add_receive(struct maker *m, unsigned end, unsigned srq, unsigned count)
{
	add_action(m, ACTION_RECEIVE, end, receive_how(RIGHT, srq), count);
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

void add_post(struct maker *m, unsigned end, bool wrong)
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
	add_action(m, ACTION_DESTROY, link, below(m, 2), 0);
	m->alive[which] = m->alive[--m->alive_count];
	m->program->link_count++;
	draw_link(m, next);
	m->program->links[next].is_late = true;
	add_action(m, ACTION_CONNECT, next, 0, 0);
}

static void add_wrong_receive(struct maker *m)
{
	enum wrong wrong = percent(m, 50) ? WRONG_SHORT : WRONG_LKEY;
	unsigned end = draw_receiver(m);
	unsigned srq = chance_below(&m->of_xrc, end_srqs(m->program, end));

	add_action(m, ACTION_RECEIVE, end, receive_how(wrong, srq), 1);
}

static void add_trouble(struct maker *m)
{
	switch (below(m, 6)) {
	case 0:
		add_action(m, ACTION_FAIL, draw_end(m), 0, 0);
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
		add_action(m, ACTION_POLL, below(m, PROCESSES), below(m, PROCESS_CQS),
		        chance_between(&m->chance, 1, 16));
	else if (what < 62)
		add_action(m, ACTION_TOUCH, draw_end(m), below(m, VERSIONED_CELLS), 0);
	else if (what < 85)
		add_action(m, ACTION_RUN, 0, 0,
		        chance_between(&m->chance, 1, percent(m, 20) ? 200 : 20));
	else
		add_action(m, ACTION_PIECE, 0, 0, chance_between(&m->chance, 1, 4));
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

void add_work(struct maker *m, unsigned end, const struct work *work)
{
	struct action post = {.kind = ACTION_POST, .of = (uint8_t)end, .count = 1};

	receives_come_first(m, end, 1);
	note_taking(m, end, work);
	m->posted[end]++;
	post.first = program_add_work(m->program, work);
	program_add(m->program, post);
}

/* So many pieces of what is under way, with some time after each, @turns at most besides. */
static void add_pieces(struct maker *m, unsigned count, unsigned turns)
{
	while (count--) {
		add_action(m, ACTION_PIECE, 0, 0, 1);
		if (turns)
			add_action(m, ACTION_RUN, 0, 0, chance_between(&m->chance, 1, turns));
	}
}

/* What fails just before a stop is seen during it, what it takes along before it or after it. */
static void add_move(struct maker *m)
{
	unsigned end = draw_sender(m), process = end_process(m->program, end);
	unsigned mover = process <= PROCESS_B ? process : PROCESS_A;
	bool fails = percent(m, 10), receives = end_receives(m->program, end);

	if (!fails)
		mover = percent(m, 60) ? PROCESS_A : PROCESS_B;
	/* A migration that votes ends all faults: the one before is over first. */
	if (percent(m, 75))
		add_pieces(m, 16, 12);
	add_faults(m, mover);
	if (fails) {
		if (receives)
			add_receive(m, end, 0, 2);
		add_post(m, end, true);
	}
	add_action(m, ACTION_RUN, 0, 0, chance_between(&m->chance, 1, fails ? 5 : 40));
	add_action(m, ACTION_MOVE, mover, 0, 0);
	if (!fails) {
		/* Looked at so often that what faults have left is there when all are stopped. */
		if (percent(m, 75))
			add_pieces(m, 16, 0);
		return;
	}
	add_action(m, ACTION_PIECE, 0, 0, 2);
	add_action(m, ACTION_RUN, 0, 0, 20);
	add_action(m, ACTION_POLL, process, end_link(m->program, end)->cq[end & 1][1], 16);
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
	m.has_xrc = chance_percent(&m.of_xrc, 60);
	m.has_windows = chance_percent(&m.of_windows, 40);
	m.program->world.apart = chance_percent(&m.of_xrc, 50);
	draw_world(&m);
	draw_links(&m);
	m.has_atomics = percent(&m, 50);
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
		add_action(&m, ACTION_MOVE, PROCESS_A, 0, 0);
	program_signal_enough(m.program);
	return m.program;
}
