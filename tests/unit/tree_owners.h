/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the owners of a tree's relays do: they send letters, carry out orders and keep count. */
#ifndef TETHER_TESTS_TREE_OWNERS_H
#define TETHER_TESTS_TREE_OWNERS_H

#include "tests/unit/relay_tree.h"

/* The owner of the relay of @node, until there is another tree. */
void *tree_owner(struct tree *tree, size_t node);
const struct relay_outputs *tree_outputs_of(Tether__Role role);

#endif
