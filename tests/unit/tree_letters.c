/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/tree_letters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "notifier/wire/message.h"

void letter_add(struct tree *tree, size_t child, bool up, const Tether__Frame *frame)
{
	struct letter *letter = calloc(1, sizeof(*letter));

	letter->child = child;
	letter->links_lost = tree->nodes[child].links_lost;
	letter->up = up;
	letter->frame = message_copy(&frame->base);
	assert_non_null(letter->frame);
	*tree->letters_end = letter;
	tree->letters_end = &letter->next;
}

static bool is_first_of_its_link(const struct tree *tree, const struct letter *letter)
{
	const struct letter *other = tree->letters;

	while (other != letter && (other->child != letter->child || other->up != letter->up))
		other = other->next;
	return other == letter;
}

struct letter *letter_take(struct tree *tree, unsigned among)
{
	struct letter **at = &tree->letters, **chosen = &tree->letters, *letter;

	if (!tree->letters)
		return NULL;
	for (unsigned i = 0; *at && i < among; at = &(*at)->next) {
		if (!is_first_of_its_link(tree, *at))
			continue;
		chosen = at;
		i++;
	}
	letter = *chosen;
	*chosen = letter->next;
	if (!letter->next)
		tree->letters_end = chosen;
	letter->next = NULL;
	return letter;
}

void letter_free(struct letter *letter)
{
	tether__frame__free_unpacked(letter->frame, NULL);
	free(letter);
}

void letters_clear(struct tree *tree)
{
	while (tree->letters) {
		struct letter *next = tree->letters->next;

		letter_free(tree->letters);
		tree->letters = next;
	}
}
