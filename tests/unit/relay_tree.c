/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/relay_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tree_letters.h"
#include "tests/unit/tree_owners.h"

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

void tree_start(struct tree *tree, size_t number)
{
	struct tree_node *node = &tree->nodes[number];
	struct relay_settings settings = {.name = number ? node->name : "",
	        .role = role_of(node),
	        .epoch = 1,
	        .away_ms = 500};

	if (settings.role == TETHER__ROLE__ROLE_SHIM)
		return;
	node->relay =
	        relay_create(&settings, tree_outputs_of(settings.role), tree_owner(tree, number));
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

void tree_restart(struct tree *tree, size_t number)
{
	tree_kill(tree, number);
	tree_start(tree, number);
	tree_connect(tree, number);
	tree_run(tree);
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
