/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/deep_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

int deep_tree(void **state)
{
	struct tree *tree = tree_create();
	uint16_t five = 5;

	tree_between(tree, ROOT, "a");
	tree_between(tree, A, "b");
	tree_host(tree, B, "hyp1");
	tree_host(tree, B, "hyp2");
	tree_host(tree, A, "hyp3");
	tree_host(tree, ROOT, "hyp4");
	tree_vm(tree, HYP1, "vm1");
	tree_vm(tree, HYP2, "vm2");
	tree_vm(tree, HYP3, "vm3");
	tree_vm(tree, HYP4, "vm4");
	for (size_t host = HYP1; host <= HYP4; host++)
		tree_connect(tree, host);
	tree_process(tree, HYP1, "vm1", 10, NULL, 0);
	tree_process(tree, HYP1, "vm1", 11, NULL, 0);
	tree_process(tree, HYP2, "vm2", 10, &five, 1);
	tree_process(tree, HYP3, "vm3", 10, NULL, 0);
	tree_process(tree, HYP4, "vm4", 10, &five, 1);
	tree_run(tree);
	assert_int_equal(tree->hosts_here, 4);
	*state = tree;
	return 0;
}

int tree_end(void **state)
{
	tree_destroy(*state);
	return 0;
}
