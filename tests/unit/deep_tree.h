/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A tree of relays with two agents between, made by hand. */
#ifndef TETHER_TESTS_DEEP_TREE_H
#define TETHER_TESTS_DEEP_TREE_H

#include "tests/unit/relay_tree.h"

/*
 *	root - a - b - hyp1: vm1 (two processes)
 *	     |   |   `- hyp2: vm2, talks to vm1
 *	     |   `- hyp3: vm3, talks to nobody
 *	     `- hyp4: vm4, talks to vm1
 */
enum { ROOT, A, B, HYP1, HYP2, HYP3, HYP4, P1, P2, PEER2, STRANGER, PEER4 };

/* For cmocka: *state becomes the tree, and everybody has said HELLO. */
int deep_tree(void **state);
int tree_end(void **state);
#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, deep_tree, tree_end)

#endif
