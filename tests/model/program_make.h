/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the rooms of program_make.c share: a program in the making, and what is drawn of it. */
#ifndef MODEL_PROGRAM_MAKE_H
#define MODEL_PROGRAM_MAKE_H

#include "model/chance.h"
#include "model/program.h"

struct maker {
	struct program *program;
	struct chance chance;
	/* What is said of these alone, so that other programs stay as they are. */
	struct chance of_xrc, of_windows;
	unsigned alive[LINKS_AT_ONCE]; /* links */
	unsigned alive_count;
	unsigned posted[ENDS_MOST], wanted[ENDS_MOST];
	unsigned taking[ENDS_MOST][XRC_SRQS];   /* posted work that takes a RECV from there */
	unsigned received[ENDS_MOST][XRC_SRQS]; /* RECVs posted on account of the end */
	unsigned moves_left, troubles_left;
	bool has_atomics; /* with one open nothing is broken: the others show more */
	bool has_xrc, has_windows;
};

static inline unsigned below(struct maker *m, unsigned count)
{
	return chance_below(&m->chance, count);
}

static inline bool percent(struct maker *m, unsigned percents)
{
	return chance_percent(&m->chance, percents);
}

static inline bool window_percent(struct maker *m, unsigned percents)
{
	return chance_percent(&m->of_windows, percents);
}

void draw_world(struct maker *m);
/* The next one, at its place. */
void draw_link(struct maker *m, unsigned index);
void draw_links(struct maker *m);

struct work draw_work(struct maker *m, const struct program_link *link);
/* Where there are windows it may become another one. */
struct work draw_work_of(struct maker *m, const struct program_link *link, uint8_t opcode);
void draw_flags(struct maker *m, struct work *work);
void make_wrong(struct maker *m, struct work *work);

void add_action(struct maker *m, enum action_kind kind, unsigned of, unsigned how, unsigned count);
/* RECVs of @end. */
void add_receive(struct maker *m, unsigned end, unsigned srq, unsigned count);
/* Some that are drawn, one of them wrong if asked for. */
void add_post(struct maker *m, unsigned end, bool wrong);
void add_work(struct maker *m, unsigned end, const struct work *work);

/* Faults at some ends, most of them such as a move of @mover's VM concerns, and what they meet. */
void add_faults(struct maker *m, unsigned mover);

#endif
