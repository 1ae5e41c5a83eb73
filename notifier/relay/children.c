/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/children.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOTS_FIRST = 16,
	SLOT_MASK = CHILDREN_MOST - 1,
	PROGRAM_BYTES = 64,
};

static bool slots_grow(struct children *children)
{
	size_t count = children->slots_count ? children->slots_count * 2 : SLOTS_FIRST;
	struct child **grown;

	if (count > CHILDREN_MOST)
		return false;
	grown = realloc(children->slots, count * sizeof(*grown));
	if (!grown)
		return false;
	memset(grown + children->slots_count, 0, (count - children->slots_count) * sizeof(*grown));
	children->slots = grown;
	children->slots_count = count;
	return true;
}

/* A link's number: how many there were before it, and its slot. 0 is none's. */
static bool link_make(struct children *children, uint32_t *link)
{
	if (children->count == children->slots_count && !slots_grow(children))
		return false;
	for (size_t slot = 0; slot < children->slots_count; slot++) {
		if (children->slots[slot])
			continue;
		if (!(++children->links << 14))
			++children->links;
		*link = children->links << 14 | slot;
		return true;
	}
	return false;
}

/* The number of @vm among members: that of its other children, or one that no VM has. */
static bool vm_number(struct children *children, const char *vm, uint32_t *number)
{
	*number = 0;
	if (!vm)
		return true;
	for (const struct child *child = children->first; child; child = child->next) {
		if (!child->vm || strcmp(child->vm, vm))
			continue;
		*number = member_vm(child->member);
		return true;
	}
	for (*number = 1; count_of(&children->of_vm, *number); ++*number)
		;
	return !count_reserve(&children->of_vm, *number);
}

static bool members_grow(struct children *children)
{
	size_t count = children->members_count ? children->members_count * 2 : SLOTS_FIRST;
	struct child **grown = realloc(children->members, count * sizeof(*grown));

	if (!grown)
		return false;
	memset(grown + children->members_count, 0,
	        (count - children->members_count) * sizeof(*grown));
	children->members = grown;
	children->members_count = count;
	return true;
}

/* Whoever holds things for each number holds no more of them than there are children at a time. */
static bool member_make(struct children *children, struct child *child, uint32_t *member)
{
	uint32_t slot = CHILDREN_SELF + 1, vm;

	while (slot < children->members_count && children->members[slot])
		slot++;
	if (slot >= MEMBER_SLOTS || !vm_number(children, child->vm, &vm))
		return false;
	if (slot >= children->members_count && !members_grow(children))
		return false;
	children->members[slot] = child;
	*member = member_of(vm, slot);
	if (vm)
		children->of_vm.counts[vm]++;
	return true;
}

static void member_forget(struct children *children, uint32_t member)
{
	uint32_t vm = member_vm(member);

	children->members[member_slot(member)] = NULL;
	if (vm)
		children->of_vm.counts[vm]--;
}

void children_member_before_make(struct children *children, struct child *child)
{
	member_make(children, child, &child->member_before);
}

static void child_destroy(struct child *child)
{
	if (!child)
		return;
	hosts_clear(&child->hosts);
	free(child->vm);
	free(child->name);
	free(child->certified_name);
	free(child->program);
	free(child);
}

struct child *children_add(struct children *children, const char *vm, uint64_t now_ms)
{
	struct child *child = calloc(1, sizeof(*child));

	if (child && vm)
		child->vm = strdup(vm);
	if (!child || (vm && !child->vm) || !link_make(children, &child->link) ||
	        !member_make(children, child, &child->member)) {
		child_destroy(child);
		return NULL;
	}
	child->connected = true;
	child->since_ms = now_ms;
	child->next = children->first;
	children->first = child;
	children->slots[child->link & SLOT_MASK] = child;
	children->count++;
	return child;
}

struct child *children_by_link(const struct children *children, uint32_t link)
{
	size_t slot = link & SLOT_MASK;
	struct child *child = slot < children->slots_count ? children->slots[slot] : NULL;

	return child && child->link == link ? child : NULL;
}

struct child *children_by_member(const struct children *children, uint32_t member)
{
	size_t slot = member_slot(member);
	struct child *child = slot < children->members_count ? children->members[slot] : NULL;

	return child && child->member == member ? child : NULL;
}

struct child *children_by_name(const struct children *children, const char *name)
{
	struct child *child = children->first;

	while (child && (!child->name || strcmp(child->name, name)))
		child = child->next;
	return child;
}

struct child *children_by_host(
        const struct children *children, const char *name, struct host_behind **host)
{
	for (struct child *child = children->first; child; child = child->next) {
		struct host_behind *found = hosts_find(child->hosts, name);

		if (!found)
			continue;
		if (host)
			*host = found;
		return child;
	}
	return NULL;
}

void children_remove(struct children *children, struct child *child)
{
	struct child **at = &children->first;

	while (*at != child)
		at = &(*at)->next;
	*at = child->next;
	children->slots[child->link & SLOT_MASK] = NULL;
	member_forget(children, child->member);
	if (child->member_before)
		member_forget(children, child->member_before);
	children->count--;
	child_destroy(child);
}

void children_adopt(struct children *children, struct child *known, struct child *fresh)
{
	uint32_t link = fresh->link;

	children->slots[known->link & SLOT_MASK] = NULL;
	children_remove(children, fresh);
	known->link = link;
	known->connected = true;
	children->slots[link & SLOT_MASK] = known;
}

void children_clear(struct children *children)
{
	while (children->first)
		children_remove(children, children->first);
	free(children->slots);
	free(children->members);
	count_clear(&children->of_vm);
	*children = (struct children){0};
}

/* It goes into logs and answers: no control characters, no end. */
static char *printable(const char *text)
{
	char *copy = strndup(text, PROGRAM_BYTES);

	for (char *at = copy; at && *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	return copy;
}

int child_introduce(struct child *child, const Tether__Hello *hello)
{
	char *name = strdup(hello->name);
	char *program = printable(hello->program);

	if (!name || !program) {
		free(name);
		free(program);
		return -ENOMEM;
	}
	if (hello->role != child->role)
		hosts_clear(&child->hosts);
	free(child->name);
	free(child->program);
	child->name = name;
	child->program = program;
	child->role = hello->role;
	child->said_hosts = false;
	child->pid = hello->pid;
	return 0;
}

bool child_has_vm(const struct child *child, const char *vm)
{
	return child->vm ? !strcmp(child->vm, vm) : hosts_have_vm(child->hosts, vm);
}

bool child_is_process(const struct child *child)
{
	return child->role == TETHER__ROLE__ROLE_SHIM;
}

bool child_is_ready(const struct child *child)
{
	return child->connected && (child->role != TETHER__ROLE__ROLE_RELAY || child->said_hosts);
}

bool name_is_of_vm(const char *name, const char *vm)
{
	size_t length = strlen(vm);

	return !strncmp(name, vm, length) && name[length] == '/' && name[length + 1];
}
