/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Letters are given to relays, and to processes, which answer. */
#include <string.h>

#include "notifier/wire/answer.h"
#include "tests/unit/relay_tree.h"
#include "tests/unit/tree_letters.h"

static void process_answers(struct tree *tree, size_t number, const Tether__Event *event)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Counts counts = TETHER__COUNTS__INIT;
	Tether__Answer answer;

	answer_begin(&answer, event_key(event));
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	counts.processes = 1;
	answer.counts = &counts;
	frame.body_case = TETHER__FRAME__BODY_ANSWER;
	frame.answer = &answer;
	letter_add(tree, number, true, &frame);
	tree->nodes[number].answers++;
}

static void process_hears(struct tree *tree, size_t number, const Tether__Frame *frame)
{
	struct tree_node *node = &tree->nodes[number];

	if (frame->body_case == TETHER__FRAME__BODY_INTEREST_ANSWER) {
		tree->registered +=
		        frame->interest_answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;
		tree->held += frame->interest_answer->outcome == TETHER__OUTCOME__OUTCOME_NONE;
		tree->refused +=
		        frame->interest_answer->outcome == TETHER__OUTCOME__OUTCOME_REFUSED;
	}
	if (frame->body_case != TETHER__FRAME__BODY_EVENT)
		return;
	node->events++;
	node->steps |= 1u << frame->event->step;
	if (!node->silent)
		process_answers(tree, number, frame->event);
}

static void letter_up(struct tree *tree, const struct letter *letter)
{
	struct tree_node *node = &tree->nodes[letter->child];
	struct relay *parent = tree->nodes[node->parent].relay;
	uint32_t link = node->link;

	if (!relay_child_frame(parent, link, letter->frame, tree->now_ms) || !node->link)
		return;
	tree_cut(tree, letter->child);
}

static void letter_down(struct tree *tree, const struct letter *letter)
{
	struct tree_node *node = &tree->nodes[letter->child];

	if (!strcmp(node->kind, "process")) {
		process_hears(tree, letter->child, letter->frame);
		return;
	}
	node->events += letter->frame->body_case == TETHER__FRAME__BODY_EVENT;
	if (node->relay && relay_parent_frame(node->relay, letter->frame, tree->now_ms))
		tree_cut(tree, letter->child);
}

static void letter_deliver(struct tree *tree, struct letter *letter)
{
	const struct tree_node *node = &tree->nodes[letter->child];

	if (node->link && letter->links_lost == node->links_lost &&
	        tree->nodes[node->parent].relay) {
		if (letter->up)
			letter_up(tree, letter);
		else
			letter_down(tree, letter);
	}
	letter_free(letter);
}

bool tree_deliver(struct tree *tree, unsigned among)
{
	struct letter *letter = letter_take(tree, among);

	if (letter)
		letter_deliver(tree, letter);
	return letter != NULL;
}

void tree_run(struct tree *tree)
{
	while (tree_deliver(tree, 1))
		;
}

void tree_pass(struct tree *tree, uint64_t ms)
{
	tree->now_ms += ms;
	/* From below, as deadlines have it. */
	for (size_t i = tree->count; i-- > 0;) {
		if (tree->nodes[i].relay)
			relay_tick(tree->nodes[i].relay, tree->now_ms);
		tree_run(tree);
	}
}
