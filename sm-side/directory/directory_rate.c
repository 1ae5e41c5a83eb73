/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How often a host may say something else of itself than it did before: each of its rows may be
 * written to the journal, asked of the SM and told to others.
 */
#include "sm-side/directory/directory_state.h"

#include "notifier/wire/message_equal.h"

enum {
	ROWS_AT_ONCE = 16384, /* a host with as many VMs and slots as there may be, twice */
	ROWS_PER_S = 64,
	ROWS_OF_ANY = 16, /* what a transaction costs, however small it is */
};

static unsigned rows_of(const Tether__Hello *word)
{
	return word ? (unsigned)(word->n_vms + word->n_slots) : 0;
}

bool directory_host_may_say(struct directory *directory, const char *name, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count, uint64_t now_ms)
{
	struct directory_host *host = directory_host_make(directory, name);
	Tether__Hello word = TETHER__HELLO__INIT;

	word.vms = vms;
	word.n_vms = vm_count;
	word.slots = slots;
	word.n_slots = slot_count;
	if (!host || (host->said && message_equal(&host->said->base, &word.base)))
		return true;
	if (rate_take(&host->words, ROWS_PER_S, ROWS_AT_ONCE, 0, now_ms)) {
		directory->put_off++;
		return false;
	}
	rate_take(&host->words, ROWS_PER_S, ROWS_AT_ONCE,
	        ROWS_OF_ANY + rows_of(host->said) + rows_of(&word), now_ms);
	return true;
}

uint64_t directory_put_off(const struct directory *directory)
{
	return directory->put_off;
}
