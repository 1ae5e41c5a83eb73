/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is under way in a tree of relays. What one link carries stays in order. */
#ifndef TETHER_TESTS_TREE_LETTERS_H
#define TETHER_TESTS_TREE_LETTERS_H

#include "tests/unit/relay_tree.h"

/* A frame under way. @up: from the node @child to its parent; else the other way. */
struct letter {
	struct letter *next;
	size_t child;
	unsigned links_lost; /* a link that is lost meanwhile carries nothing any more */
	bool up;
	Tether__Frame *frame;
};

/* The last of all; @frame is copied. */
void letter_add(struct tree *tree, size_t child, bool up, const Tether__Frame *frame);
/* The first, or one of the @among first links that have any. The caller's; NULL: none. */
struct letter *letter_take(struct tree *tree, unsigned among);
void letter_free(struct letter *letter);
void letters_clear(struct tree *tree);

#endif
