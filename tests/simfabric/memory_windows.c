/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/memory_windows.h"

#include <string.h>
#include <infiniband/verbs.h>

enum {
	NEEDS_LOCAL_WRITE = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC,
	WINDOW_ACCESS = NEEDS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_ZERO_BASED,
	TAG_MASK = 0xff,
};

static struct memory_window *window_at(const struct memory_keys *keys, uint32_t rkey)
{
	struct memory_region *region = memory_keys_at(keys, rkey);

	return region && region->is_window ? (struct memory_window *)(void *)region : NULL;
}

int memory_window_add(
        struct memory_keys *keys, struct memory_window *window, const void *pd, bool is_type_2)
{
	memset(window, 0, sizeof(*window));
	window->region.is_window = true;
	window->is_type_2 = is_type_2;
	window->pd = pd;
	return memory_keys_add(keys, &window->region);
}

static void leave_owner(struct memory_window *window)
{
	struct memory_window **at;

	if (!window->owner)
		return;
	at = &window->owner->windows;
	while (*at != window)
		at = &(*at)->next_of_owner;
	*at = window->next_of_owner;
	window->owner = NULL;
}

static void unbind(struct memory_window *window)
{
	struct memory_window **at;

	if (!window->of)
		return;
	leave_owner(window);
	at = &window->of->windows;
	while (*at != window)
		at = &(*at)->next_of_region;
	*at = window->next_of_region;
	window->of = NULL;
	window->region.pd = NULL;
	window->region.access = 0;
	window->region.length = 0;
}

void memory_window_remove(struct memory_keys *keys, struct memory_window *window)
{
	unbind(window);
	memory_keys_remove(keys, &window->region);
}

/* May @bind open a part of @region? */
static bool allows(
        const struct memory_region *region, const void *pd, const struct window_bind *bind)
{
	if (!region || region->key != bind->lkey || region->pd != pd)
		return false;
	/* No window has it, so none is bound to another. */
	if (!(region->access & IBV_ACCESS_MW_BIND))
		return false;
	if ((bind->access & NEEDS_LOCAL_WRITE) && !(region->access & IBV_ACCESS_LOCAL_WRITE))
		return false;
	return bind->address >= region->address && bind->length <= region->length &&
	       bind->address - region->address <= region->length - bind->length;
}

static void open_to_peers(struct memory_window *window, struct memory_region *of,
        struct window_owner *owner, const struct window_bind *bind)
{
	window->region.pd = window->is_type_2 ? (const void *)owner : window->pd;
	window->region.access = bind->access;
	window->region.address = bind->access & IBV_ACCESS_ZERO_BASED ? 0 : bind->address;
	window->region.length = bind->length;
	window->region.memory = of->memory + (bind->address - of->address);
	window->of = of;
	window->next_of_region = of->windows;
	of->windows = window;
	if (!window->is_type_2)
		return;
	window->owner = owner;
	window->next_of_owner = owner->windows;
	owner->windows = window;
}

bool memory_window_bind(struct memory_keys *keys, const void *pd, struct window_owner *owner,
        const struct window_bind *bind)
{
	struct memory_window *window = window_at(keys, bind->window);
	struct memory_region *of = memory_keys_at(keys, bind->lkey);

	if (!window || window->region.key != bind->window ||
	        ((bind->window ^ bind->rkey) & ~(uint32_t)TAG_MASK) ||
	        window->is_type_2 != bind->is_type_2 || window->pd != pd)
		return false;
	if (bind->access & ~(unsigned)WINDOW_ACCESS)
		return false;
	/* Type 2 is bound once, to something. */
	if (window->is_type_2 && (window->of || !bind->length))
		return false;
	if (bind->length && !allows(of, pd, bind))
		return false;
	unbind(window);
	window->region.key = bind->rkey;
	if (bind->length)
		open_to_peers(window, of, owner, bind);
	return true;
}

bool memory_window_invalidate(
        struct memory_keys *keys, const struct window_owner *owner, uint32_t rkey)
{
	struct memory_window *window = window_at(keys, rkey);

	if (!window || window->region.key != rkey || !window->owner || window->owner != owner)
		return false;
	unbind(window);
	return true;
}

void memory_windows_forget_region(struct memory_region *region)
{
	while (region->windows)
		unbind(region->windows);
}

void memory_windows_forget_owner(struct window_owner *owner)
{
	while (owner->windows)
		unbind(owner->windows);
}
