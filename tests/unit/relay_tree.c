/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/relay_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/wire/answer.h"
#include "notifier/wire/message.h"
#include "tests/unit/tree_letters.h"

/* What a relay gives as its owner. */
struct owner {
	struct tree *tree;
	size_t node;
};

static struct owner owners[TREE_NODES_MOST];

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

static Tether__Role role_of(const struct tree_node *node)
{
	if (!strcmp(node->kind, "root"))
		return TETHER__ROLE__ROLE_ROOT;
	if (!strcmp(node->kind, "between"))
		return TETHER__ROLE__ROLE_RELAY;
	if (!strcmp(node->kind, "guest"))
		return TETHER__ROLE__ROLE_GUEST;
	return strcmp(node->kind, "host") ? TETHER__ROLE__ROLE_SHIM : TETHER__ROLE__ROLE_HOST;
}

static const struct relay_outputs *outputs_of(Tether__Role role)
{
	if (role == TETHER__ROLE__ROLE_ROOT)
		return &root_outputs;
	return role == TETHER__ROLE__ROLE_HOST ? &host_outputs : &outputs;
}

void tree_start(struct tree *tree, size_t number)
{
	struct tree_node *node = &tree->nodes[number];
	struct relay_settings settings = {.name = number ? node->name : "",
	        .role = role_of(node),
	        .epoch = 1,
	        .away_ms = 500};

	if (settings.role == TETHER__ROLE__ROLE_SHIM)
		return;
	owners[number] = (struct owner){tree, number};
	node->relay = relay_create(&settings, outputs_of(settings.role), &owners[number]);
	assert_non_null(node->relay);
	/* Without a parent nothing goes up. */
	if (number)
		relay_parent_lost(node->relay);
	for (size_t i = 0; i < node->vms_count; i++)
		relay_vm_here(node->relay, node->vms[i]);
	if (settings.role == TETHER__ROLE__ROLE_GUEST)
		relay_vm_here(node->relay, node->name);
}

static size_t node_add(struct tree *tree, const char *kind, size_t parent, const char *name)
{
	struct tree_node *node = &tree->nodes[tree->count];

	assert_true(tree->count < TREE_NODES_MOST);
	node->kind = kind;
	node->parent = parent;
	snprintf(node->name, sizeof(node->name), "%s", name);
	tree_start(tree, tree->count);
	return tree->count++;
}

struct tree *tree_create(void)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	tree->letters_end = &tree->letters;
	tree->now_ms = 1000;
	node_add(tree, "root", SIZE_MAX, "");
	return tree;
}

void tree_destroy(struct tree *tree)
{
	letters_clear(tree);
	for (size_t i = 0; i < tree->count; i++)
		relay_destroy(tree->nodes[i].relay);
	if (tree->answer)
		tether__answer__free_unpacked(tree->answer, NULL);
	free(tree);
}

size_t tree_between(struct tree *tree, size_t parent, const char *name)
{
	size_t node = node_add(tree, "between", parent, name);

	tree_connect(tree, node);
	return node;
}

size_t tree_host(struct tree *tree, size_t parent, const char *name)
{
	return node_add(tree, "host", parent, name);
}

void tree_vm(struct tree *tree, size_t host, const char *vm)
{
	struct tree_node *node = &tree->nodes[host];

	snprintf(node->vms[node->vms_count++], sizeof(node->vms[0]), "%s", vm);
	relay_vm_here(node->relay, vm);
}

size_t tree_guest(struct tree *tree, size_t host, const char *vm)
{
	size_t node = node_add(tree, "guest", host, vm);

	snprintf(tree->nodes[node].vm, sizeof(tree->nodes[node].vm), "%s", vm);
	tree_connect(tree, node);
	return node;
}

size_t tree_process(struct tree *tree, size_t host, const char *vm, unsigned pid,
        const uint16_t *lids, size_t lids_count)
{
	char name[32];
	size_t node;

	snprintf(name, sizeof(name), "%s/%u.1", vm, pid);
	node = node_add(tree, "process", host, name);
	snprintf(tree->nodes[node].vm, sizeof(tree->nodes[node].vm), "%s", vm);
	if (lids_count)
		memcpy(tree->nodes[node].lids, lids, lids_count * sizeof(*lids));
	tree->nodes[node].lids_count = lids_count;
	tree_connect(tree, node);
	return node;
}

static void hello_send(struct tree *tree, size_t number)
{
	struct tree_node *node = &tree->nodes[number];
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__HostVm vms[4], *vms_said[4];
	Tether__Address addresses[8], *addresses_said[8];

	hello.version = TETHER__PROTOCOL__PROTOCOL_VERSION;
	hello.role = role_of(node);
	hello.name = node->name;
	for (size_t i = 0; i < node->vms_count; i++) {
		tether__host_vm__init(&vms[i]);
		vms[i].name = node->vms[i];
		vms_said[i] = &vms[i];
	}
	hello.vms = vms_said;
	hello.n_vms = node->vms_count;
	for (size_t i = 0; i < node->lids_count; i++) {
		tether__address__init(&addresses[i]);
		addresses[i].lid = node->lids[i];
		addresses_said[i] = &addresses[i];
	}
	hello.addresses = addresses_said;
	hello.n_addresses = node->lids_count;
	hello.migration = node->takes_part ? 1 : 0;
	if (node->relay)
		assert_int_equal(relay_hello_fill(node->relay, &hello), 0);
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	letter_add(tree, number, true, &frame);
	if (node->relay)
		relay_hello_clear(&hello);
}

void tree_connect(struct tree *tree, size_t number)
{
	struct tree_node *node = &tree->nodes[number];
	struct tree_node *parent = &tree->nodes[node->parent];

	if (!parent->relay)
		return;
	if (role_of(node) == TETHER__ROLE__ROLE_GUEST)
		assert_int_equal(
		        relay_guest_add(parent->relay, node->vm, tree->now_ms, &node->link), 0);
	else
		assert_int_equal(relay_child_add(parent->relay, *node->vm ? node->vm : NULL,
		                         tree->now_ms, &node->link),
		        0);
	hello_send(tree, number);
}

void tree_cut(struct tree *tree, size_t number)
{
	struct tree_node *node = &tree->nodes[number];
	uint32_t link = node->link;
	struct relay *parent;

	if (!link)
		return;
	parent = tree->nodes[node->parent].relay;
	node->link = 0;
	node->links_lost++;
	if (node->relay)
		relay_parent_lost(node->relay);
	if (parent)
		relay_child_gone(parent, link, false, tree->now_ms);
}

void tree_process_ends(struct tree *tree, size_t number)
{
	struct tree_node *node = &tree->nodes[number];
	struct relay *host = tree->nodes[node->parent].relay;
	uint32_t link = node->link;

	node->ended = true;
	node->link = 0;
	node->links_lost++;
	if (host && link)
		relay_child_gone(host, link, true, tree->now_ms);
}

void tree_kill(struct tree *tree, size_t number)
{
	for (size_t i = 1; i < tree->count; i++)
		if (tree->nodes[i].parent == number)
			tree_cut(tree, i);
	tree_cut(tree, number);
	relay_destroy(tree->nodes[number].relay);
	tree->nodes[number].relay = NULL;
}

void tree_interest(struct tree *tree, size_t process, uint16_t lid, uint32_t remote_qpn, bool drop)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;
	Tether__Address address = TETHER__ADDRESS__INIT;
	static uint32_t request;

	address.lid = lid;
	interest.request = ++request;
	interest.address = &address;
	interest.remote_qpn = remote_qpn;
	interest.drop = drop;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	letter_add(tree, process, true, &frame);
}

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

void tree_forget(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		tree->nodes[i].events = tree->nodes[i].steps = tree->nodes[i].orders =
		        tree->nodes[i].moved = tree->nodes[i].answers = 0;
	if (tree->answer)
		tether__answer__free_unpacked(tree->answer, NULL);
	tree->answer = NULL;
	tree->answers = 0;
}

void tree_event(struct tree *tree, const Tether__Event *event)
{
	assert_int_equal(relay_event(tree->nodes[0].relay, event, tree->now_ms), 0);
}

static bool is_among(char **names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

bool tree_answered(const struct tree *tree, size_t node)
{
	return is_among(tree->answer->answered, tree->answer->n_answered, tree->nodes[node].name);
}

bool tree_missing(const struct tree *tree, size_t node)
{
	return is_among(tree->answer->missing, tree->answer->n_missing, tree->nodes[node].name);
}

void tree_place(struct tree *tree, const char *vm, const char *host, const char *next, uint32_t lid,
        uint32_t pkey)
{
	Tether__Whereabouts whereabouts = TETHER__WHEREABOUTS__INIT;
	Tether__VmPlace place = TETHER__VM_PLACE__INIT, *places[] = {&place};

	place.vm = (char *)vm;
	place.host = (char *)host;
	place.host_next = (char *)next;
	place.lids = &lid;
	place.n_lids = 1;
	place.pkeys = &pkey;
	place.n_pkeys = 1;
	place.located = true;
	whereabouts.vms = places;
	whereabouts.n_vms = 1;
	assert_int_equal(relay_whereabouts(tree->nodes[0].relay, &whereabouts, tree->now_ms), 0);
}
