/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A program that fails is made small: what can be left out while it still fails is left out. */
#ifndef MODEL_SHRINK_H
#define MODEL_SHRINK_H

#include "model/program.h"

typedef bool shrink_fails(const struct program *program, void *argument);

/*
 * The smallest that was found, another program than @program, which fails. @fails is asked
 * @attempts times at most, of sound programs only.
 */
struct program *shrink(
        const struct program *program, shrink_fails *fails, void *argument, unsigned attempts);

#endif
