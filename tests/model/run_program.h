/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program is run in a world, and what comes of it is judged. */
#ifndef MODEL_RUN_PROGRAM_H
#define MODEL_RUN_PROGRAM_H

#include "model/coverage.h"
#include "model/program.h"

enum { RESULT_SAID = 6, RESULT_LENGTH = 200 };

struct run_result {
	bool is_complete; /* it has come to its end; else it crashed or hangs */
	unsigned moved, in_vain, aborted, violations;
	unsigned excuses; /* errors that nothing else explains, see EVENT_EXCUSED */
	uint64_t turns;
	uint64_t hash; /* of all that was seen */
	char said[RESULT_SAID][RESULT_LENGTH];
	struct coverage coverage;
};

/* Once in a process's life: who needs more forks first. */
void run_program(const struct program *program, struct run_result *result);

#endif
