/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/tree_chance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

unsigned dice(unsigned sides)
{
	assert_true(sides);
	return (unsigned)rand() % (sides ? sides : 1);
}

void deliver_some(struct tree *tree, unsigned letters)
{
	while (letters && tree_deliver(tree, 1 + dice(8)))
		letters--;
}

void deliver_all(struct tree *tree)
{
	while (tree_deliver(tree, 1 + dice(8)))
		;
}
