/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program's world and its links from a seed. */
#include <string.h>

#include "model/program_make.h"

/* Most are of a VM that moves: others show that they are left alone. */
static void draw_processes(struct maker *m, struct program_link *link)
{
	static const uint8_t pairs[][2] = {{PROCESS_A, PROCESS_P}, {PROCESS_P, PROCESS_A},
	        {PROCESS_A, PROCESS_B}, {PROCESS_A, PROCESS_A}, {PROCESS_B, PROCESS_P},
	        {PROCESS_A, PROCESS_Q}, {PROCESS_B, PROCESS_A}, {PROCESS_P, PROCESS_Q},
	        {PROCESS_A, PROCESS_P}, {PROCESS_Q, PROCESS_B}};

	memcpy(link->process, pairs[below(m, sizeof(pairs) / sizeof(*pairs))], 2);
}

/* Where somebody sends by XRC already; PROCESSES: nowhere. */
static unsigned xrc_target(const struct maker *m)
{
	for (unsigned i = 0; i < m->alive_count; i++) {
		if (m->program->links[m->alive[i]].xrc)
			return m->program->links[m->alive[i]].process[1];
	}
	return PROCESSES;
}

/* Else a VM that moves is asked by few, since the first end alone sends. */
static void turn_round(struct program_link *link)
{
	uint8_t process = link->process[0];

	link->process[0] = link->process[1];
	link->process[1] = process;
}

/* As if it were drawn as one of RC, but that one end alone posts, to where others do. */
static void maybe_xrc(struct maker *m, unsigned index)
{
	struct program_link *link = &m->program->links[index];

	if (!m->has_xrc || !chance_percent(&m->of_xrc, 60))
		return;
	link->xrc = true;
	link->shares[0] = link->shares[1] = link->starved = 0;
	m->wanted[2 * index + 1] = 0;
	if (link->process[0] <= PROCESS_B && chance_percent(&m->of_xrc, 35))
		turn_round(link);
	if (xrc_target(m) != PROCESSES && chance_percent(&m->of_xrc, 60))
		link->process[1] = (uint8_t)xrc_target(m);
}

void draw_link(struct maker *m, unsigned index)
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
	maybe_xrc(m, index);
	m->alive[m->alive_count++] = index;
}

void draw_links(struct maker *m)
{
	unsigned count = chance_between(&m->chance, 1, LINKS_AT_ONCE);

	m->program->link_count = count;
	for (unsigned i = 0; i < count; i++)
		draw_link(m, i);
}

void draw_world(struct maker *m)
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
	if (percent(m, 85))
		world->stop_ms = (uint16_t)chance_between(&m->chance, 1, percent(m, 80) ? 3 : 60);
}
