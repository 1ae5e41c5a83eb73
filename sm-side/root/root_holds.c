/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/root_state.h"

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"

/* What a barrier is of; there is one for each LID that the VM is known by. */
struct hold {
	struct root *root;
	uint64_t migration;
	const char *vm;
	uint64_t until_ms;
};

static bool hold_at(const struct hold *hold, const struct address *address)
{
	return !relay_hold(hold->root->relay, hold->migration, hold->vm, address, hold->until_ms);
}

static bool hold_at_lid(void *owner, uint32_t lid)
{
	struct address address = {.lid = lid};

	return !lid || hold_at(owner, &address);
}

void root_hold(struct root *root, uint64_t migration, const char *vm, const struct address *address,
        bool shared_port, unsigned ms)
{
	struct hold hold = {root, migration, vm, monotonic_ms() + ms};
	bool held = hold_at(&hold, address);

	if (shared_port)
		held &= numbers_each_lid(
		        questions_numbers(root->questions), address, hold_at_lid, &hold);
	if (!held)
		log_error("root", "no memory to hold connections to %s", vm);
	root_tick_arm(root);
}

void root_let_go(struct root *root, uint64_t migration)
{
	relay_let_go(root->relay, migration);
	root_tick_arm(root);
}
