/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The root of a world's migrations, as tether-smd is it: tells this process, which stands for the
 * VM's and for its peers', one step after the other, and hands on what was answered. Several at a
 * time, as long as they have no queue pair in common.
 *
 * A step is told by root_tell and answered some turns later, so that the program goes on in
 * between; root_step is both with nothing but the world going on.
 */
#ifndef TEST_MODEL_ROOT_H
#define TEST_MODEL_ROOT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/model/world.h"
#include "tether.pb-c.h"

struct migration {
	unsigned vm;
	uint64_t id;
	Tether__Step step;    /* that was told last */
	uint32_t deadline_ms; /* of the next; 0: the usual one */
	bool is_answered;
	Tether__Outcome outcome;
	char reason[64]; /* the first that was given for another outcome than DONE */
	Tether__Answer *stopped, *settled, *attached;
	struct migration *next;
};

/* Known until root_end. */
void root_begin(struct migration *m, unsigned vm);
void root_end(struct migration *m);

/* Tell it @step; take what this process says by itself (root_turn), until is_answered. */
void root_tell(struct migration *m, Tether__Step step);
void root_turn(void);

/*
 * Told, and turns of the world until it is answered; its outcome. @meanwhile is called before each
 * turn, NULL: nobody.
 */
Tether__Outcome root_step(
        struct migration *m, Tether__Step step, void (*meanwhile)(void *), void *argument);

/*
 * The device goes from its slot to @slot (which may be the same), between RELEASE and ATTACH.
 * False: somebody still holds it.
 */
bool root_move_device(const struct migration *m, unsigned slot);

#endif
