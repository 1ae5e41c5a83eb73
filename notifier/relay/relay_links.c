/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Links from below: for whom there is room, whose they are, why they end. */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_FEW = 16 };

static unsigned min_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The links of one VM keep nobody else's out: they are no more than what is @left for others, but
 * for a few. In a VM there are no others. */
static unsigned links_most(const struct relay *relay, unsigned left)
{
	if (relay->settings.role == TETHER__ROLE__ROLE_GUEST)
		return relay->settings.processes_max;
	return min_of(relay->settings.processes_max, left > LINKS_FEW ? left : LINKS_FEW);
}

static bool has_room(const struct relay *relay, const char *vm)
{
	unsigned left = relay->settings.children_max -
	                min_of(relay->children.count, relay->settings.children_max);
	unsigned of_vm = 0, most = links_most(relay, left);
	const struct child *child = relay->children.first;

	for (; vm && child && of_vm < most; child = child->next)
		of_vm += child->vm && !strcmp(child->vm, vm);
	return of_vm < most && left;
}

void relay_link_ended(struct relay *relay, int reason)
{
	switch (reason) {
	case -EUSERS:
		relay->counts.crowded_links++;
		break;
	case -EBADMSG:
		relay->counts.garbled_frames++;
		break;
	case -EMSGSIZE:
		relay->counts.large_frames++;
		break;
	case -ETIME:
		relay->counts.half_frames++;
		break;
	case -ENOBUFS:
		relay->counts.unread_links++;
		break;
	case -EDQUOT:
		relay->counts.full_links++;
		break;
	}
}

void relay_line_unsaid(struct relay *relay)
{
	relay->counts.unsaid_lines++;
}

void relay_pulled(struct relay *relay, bool forged)
{
	relay->counts.pulls++;
	relay->counts.forged_pulls += forged;
}

static int child_add(
        struct relay *relay, const char *vm, bool is_guest, uint64_t now_ms, uint32_t *link)
{
	struct child *child;

	if (!has_room(relay, is_guest ? NULL : vm)) {
		relay_link_ended(relay, -EUSERS);
		return -EUSERS;
	}
	child = children_add(&relay->children, vm, now_ms);
	if (!child)
		return -ENOMEM;
	child->is_guest = is_guest;
	*link = child->link;
	return 0;
}

int relay_child_add(struct relay *relay, const char *vm, uint64_t now_ms, uint32_t *link)
{
	return child_add(relay, vm, false, now_ms, link);
}

int relay_guest_add(struct relay *relay, const char *vm, uint64_t now_ms, uint32_t *link)
{
	return child_add(relay, vm, true, now_ms, link);
}

void relay_child_numbered(struct relay *relay, uint32_t link, uint32_t pid)
{
	struct child *child = children_by_link(&relay->children, link);

	if (child)
		child->kernel_pid = pid;
}

int relay_child_certified(struct relay *relay, uint32_t link, Tether__Role role, const char *name)
{
	struct child *child = children_by_link(&relay->children, link);
	char *copy;

	if (!child)
		return -ENOENT;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	free(child->certified_name);
	child->certified_name = copy;
	child->certified_role = role;
	return 0;
}
