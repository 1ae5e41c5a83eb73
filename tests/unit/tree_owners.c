/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/tree_owners.h"

#include "notifier/wire/answer.h"
#include "notifier/wire/message.h"
#include "tests/unit/tree_letters.h"

/* What a relay gives as its owner. */
struct owner {
	struct tree *tree;
	size_t node;
};

static struct owner owners[TREE_NODES_MOST];

void *tree_owner(struct tree *tree, size_t node)
{
	owners[node] = (struct owner){tree, node};
	return &owners[node];
}

static size_t node_of_link(const struct tree *tree, size_t parent, uint32_t link)
{
	size_t i = 0;

	while (i < tree->count && (tree->nodes[i].parent != parent || tree->nodes[i].link != link))
		i++;
	return i;
}

static void child_send(void *at, uint32_t link, const Tether__Frame *frame)
{
	struct owner *owner = at;
	size_t child = node_of_link(owner->tree, owner->node, link);

	if (child < owner->tree->count)
		letter_add(owner->tree, child, false, frame);
}

static void child_close(void *at, uint32_t link, const char *why)
{
	struct owner *owner = at;
	size_t child = node_of_link(owner->tree, owner->node, link);

	if (child == owner->tree->count)
		return;
	owner->tree->nodes[child].link = 0;
	owner->tree->nodes[child].links_lost++;
	if (owner->tree->nodes[child].relay)
		relay_parent_lost(owner->tree->nodes[child].relay);
}

static void acknowledge(struct tree *tree, const Tether__Interest *interest)
{
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	answer.request = interest->request;
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	relay_parent_frame(tree->nodes[0].relay, &frame, tree->now_ms);
}

static void root_says(struct tree *tree, const Tether__Frame *frame)
{
	if (frame->body_case == TETHER__FRAME__BODY_INTEREST) {
		acknowledge(tree, frame->interest);
	} else if (frame->body_case == TETHER__FRAME__BODY_ANSWER) {
		if (tree->answer)
			tether__answer__free_unpacked(tree->answer, NULL);
		tree->answer = message_copy(&frame->answer->base);
		tree->answers++;
	}
}

static void parent_send(void *at, const Tether__Frame *frame)
{
	struct owner *owner = at;

	if (!owner->node)
		root_says(owner->tree, frame);
	else if (owner->tree->nodes[owner->node].link)
		letter_add(owner->tree, owner->node, true, frame);
}

static void order(void *at, const Tether__Event *event)
{
	struct owner *owner = at;
	struct tree_node *node = &owner->tree->nodes[owner->node];
	Tether__HostResult result = TETHER__HOST_RESULT__INIT;
	Tether__HostVm vms[4], *said[4];
	Tether__Slot slot = TETHER__SLOT__INIT, *slots[] = {&slot};
	Tether__Answer answer;

	node->orders++;
	answer_begin(&answer, event_key(event));
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	for (size_t i = 0; i < node->vms_count; i++) {
		tether__host_vm__init(&vms[i]);
		vms[i].name = node->vms[i];
		said[i] = &vms[i];
	}
	result.host = node->name;
	result.vms = said;
	result.n_vms = node->vms_count;
	result.slots = slots;
	result.n_slots = 1;
	answer.result = &result;
	relay_order_done(node->relay, &answer, owner->tree->now_ms);
}

static int host_here(void *at, uint32_t child, const Tether__HostBehind *host, const char **reason,
        const char **text)
{
	((struct owner *)at)->tree->hosts_here++;
	return 0;
}

static void host_away(void *at, const char *host)
{
	((struct owner *)at)->tree->hosts_here--;
}

static void moved(void *at, const Tether__Event *event)
{
	struct owner *owner = at;

	owner->tree->nodes[owner->node].moved++;
}

static const struct relay_outputs outputs = {.child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .moved = moved};
static const struct relay_outputs host_outputs = {.child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .order = order,
        .moved = moved};
static const struct relay_outputs root_outputs = {.child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .host = host_here,
        .host_away = host_away};

const struct relay_outputs *tree_outputs_of(Tether__Role role)
{
	if (role == TETHER__ROLE__ROLE_ROOT)
		return &root_outputs;
	return role == TETHER__ROLE__ROLE_HOST ? &host_outputs : &outputs;
}
