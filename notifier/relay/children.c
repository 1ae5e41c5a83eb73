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

static size_t min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

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
	for (size_t slot = children->slot_free; slot < children->slots_count; slot++) {
		if (children->slots[slot])
			continue;
		children->slot_free = slot;
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
	uint32_t slot = (uint32_t)children->member_free, vm;

	while (slot < children->members_count && children->members[slot])
		slot++;
	if (slot >= MEMBER_SLOTS || !vm_number(children, child->vm, &vm))
		return false;
	if (slot >= children->members_count && !members_grow(children))
		return false;
	children->members[slot] = child;
	children->member_free = slot + 1;
	*member = member_of(vm, slot);
	if (vm)
		children->of_vm.counts[vm]++;
	return true;
}

static void member_forget(struct children *children, uint32_t member)
{
	uint32_t vm = member_vm(member);

	children->members[member_slot(member)] = NULL;
	children->member_free = min_of(children->member_free, member_slot(member));
	if (vm)
		children->of_vm.counts[vm]--;
}

void children_member_before_make(struct children *children, struct child *child)
{
	member_make(children, child, &child->member_before);
}

void children_begin(struct children *children)
{
	*children = (struct children){.member_free = CHILDREN_SELF + 1};
	TAILQ_INIT(&children->silent);
	TAILQ_INIT(&children->away);
}

static struct silent_children *silent_with(struct children *children, const struct child *child)
{
	return child->silence == SILENT ? &children->silent : &children->away;
}

static void silence_ends(struct children *children, struct child *child)
{
	if (child->silence == SPEAKS)
		return;
	TAILQ_REMOVE(silent_with(children, child), child, silent);
	child->silence = SPEAKS;
}

static void silence_begins(
        struct children *children, struct child *child, enum silence silence, uint64_t now_ms)
{
	struct child *before;

	silence_ends(children, child);
	child->silence = silence;
	child->since_ms = now_ms;
	before = TAILQ_LAST(silent_with(children, child), silent_children);
	while (before && before->since_ms > now_ms)
		before = TAILQ_PREV(before, silent_children, silent);
	if (before)
		TAILQ_INSERT_AFTER(silent_with(children, child), before, child, silent);
	else
		TAILQ_INSERT_HEAD(silent_with(children, child), child, silent);
}

static void child_destroy(struct child *child)
{
	if (!child)
		return;
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
	silence_begins(children, child, SILENT, now_ms);
	child->next = children->first;
	child->at = &children->first;
	if (child->next)
		child->next->at = &child->next;
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
	const struct name_node *node = name_table_find(&children->names, name);

	return node ? node->owner : NULL;
}

struct child *children_by_host(
        const struct children *children, const char *name, struct host_behind **host)
{
	const struct name_node *node = name_table_find(&children->hosts, name);
	struct host_behind *found = node ? node->owner : NULL;

	if (found && host)
		*host = found;
	return found ? found->child : NULL;
}

static bool is_of(const struct name_node *node, const struct child *child)
{
	const struct host_behind *host = node->owner;

	return host->child == child;
}

struct host_behind *children_host_elsewhere(
        const struct children *children, const struct child *child, const char *name)
{
	const struct name_node *node = name_table_find(&children->hosts, name);

	while (node && is_of(node, child))
		node = name_table_next(node);
	return node ? node->owner : NULL;
}

int children_host_put(struct children *children, struct child *child,
        const struct vm_places *places, const Tether__HostBehind *said, Tether__HostBehind **before)
{
	int err = hosts_put(&child->hosts, places, said, before);
	struct host_behind *host = err ? NULL : hosts_find(child->hosts, said->name);

	if (err)
		return err;
	if (*before) {
		host->named.name = host->said->name; /* the same, where it is now */
		return 0;
	}
	host->child = child;
	err = name_table_add(&children->hosts, &host->named, host->said->name, host);
	if (err)
		hosts_remove(&child->hosts, host);
	return err;
}

void children_host_remove(struct children *children, struct host_behind *host)
{
	name_table_remove(&children->hosts, &host->named);
	hosts_remove(&host->child->hosts, host);
}

static void hosts_forget(struct children *children, struct child *child)
{
	while (child->hosts)
		children_host_remove(children, child->hosts);
}

static void slot_forget(struct children *children, uint32_t link)
{
	size_t slot = link & SLOT_MASK;

	children->slots[slot] = NULL;
	children->slot_free = min_of(children->slot_free, slot);
}

void children_remove(struct children *children, struct child *child)
{
	*child->at = child->next;
	if (child->next)
		child->next->at = child->at;
	silence_ends(children, child);
	name_table_remove(&children->names, &child->named);
	hosts_forget(children, child);
	slot_forget(children, child->link);
	member_forget(children, child->member);
	if (child->member_before)
		member_forget(children, child->member_before);
	children->count--;
	child_destroy(child);
}

void children_adopt(struct children *children, struct child *known, struct child *fresh)
{
	uint32_t link = fresh->link, kernel_pid = fresh->kernel_pid;

	slot_forget(children, known->link);
	children_remove(children, fresh);
	silence_ends(children, known);
	known->link = link;
	known->kernel_pid = kernel_pid;
	known->connected = true;
	children->slots[link & SLOT_MASK] = known;
}

void children_lost(struct children *children, struct child *child, uint64_t now_ms)
{
	child->connected = false;
	silence_begins(children, child, AWAY, now_ms);
}

void children_clear(struct children *children)
{
	while (children->first)
		children_remove(children, children->first);
	free(children->slots);
	free(children->members);
	count_clear(&children->of_vm);
	name_table_clear(&children->names);
	name_table_clear(&children->hosts);
	children_begin(children);
}

void text_make_printable(char *text)
{
	for (char *at = text; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

static char *printable(const char *text)
{
	char *copy = strndup(text, PROGRAM_BYTES);

	if (copy)
		text_make_printable(copy);
	return copy;
}

/* Who has a name has come back by it. */
static int name_take(struct children *children, struct child *child, const char *name)
{
	char *copy = child->name ? NULL : strdup(name);

	if (child->name)
		return 0;
	if (!copy || name_table_add(&children->names, &child->named, copy, child)) {
		free(copy);
		return -ENOMEM;
	}
	child->name = copy;
	silence_ends(children, child);
	return 0;
}

int children_introduce(struct children *children, struct child *child, const Tether__Hello *hello)
{
	char *program = printable(hello->program);

	if (!program || name_take(children, child, hello->name)) {
		free(program);
		return -ENOMEM;
	}
	if (hello->role != child->role)
		hosts_forget(children, child);
	free(child->program);
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
