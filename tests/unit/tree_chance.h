/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Letters of a tree in any order, by chance: as rand(3) has it. */
#ifndef TETHER_TESTS_TREE_CHANCE_H
#define TETHER_TESTS_TREE_CHANCE_H

#include "tests/unit/relay_tree.h"

/* From 0 to @sides - 1. */
unsigned dice(unsigned sides);
/* So many letters at most, of those that may come next any. */
void deliver_some(struct tree *tree, unsigned letters);
void deliver_all(struct tree *tree);

#endif
