/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How often a host may say something else of itself than it did before: each row that comes, goes
 * or is another may be written to the journal, asked of the SM and told to others.
 */
#include "sm-side/directory/directory_state.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/wire/message_equal.h"

enum {
	ROWS_AT_ONCE = 16384, /* a host with as many VMs and slots as there may be, twice */
	ROWS_PER_S = 64,
	ROWS_OF_ANY = 16, /* what a transaction costs, however small it is */
};

/* Of a word: a VM or a slot. */
struct row {
	bool is_slot;
	const char *name;
	const ProtobufCMessage *said;
	size_t at;
};

static int by_name(const struct row *one, const struct row *other)
{
	if (one->is_slot != other->is_slot)
		return one->is_slot - other->is_slot;
	return strcmp(one->name, other->name);
}

static int by_name_and_place(const void *a, const void *b)
{
	const struct row *one = a, *other = b;
	int order = by_name(one, other);

	return order ? order : (one->at > other->at) - (one->at < other->at);
}

static size_t rows_of(const Tether__Hello *word)
{
	return word->n_vms + word->n_slots;
}

/* Of one name only the first, as directory_word_copy keeps them. */
static size_t rows_once(struct row *rows, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!kept || by_name(&rows[kept - 1], &rows[i]))
			rows[kept++] = rows[i];
	return kept;
}

/* By name, the caller's; NULL: no memory. */
static struct row *rows_make(const Tether__Hello *word, size_t *count)
{
	struct row *rows = calloc(rows_of(word) + 1, sizeof(*rows));
	size_t n = 0;

	if (!rows)
		return NULL;
	for (size_t i = 0; i < word->n_vms; i++, n++)
		rows[n] = (struct row){false, word->vms[i]->name, &word->vms[i]->base, n};
	for (size_t i = 0; i < word->n_slots; i++, n++)
		rows[n] = (struct row){true, word->slots[i]->name, &word->slots[i]->base, n};
	qsort(rows, n, sizeof(*rows), by_name_and_place);
	*count = rows_once(rows, n);
	return rows;
}

/* One that says something else than its like is two. */
static size_t rows_apart(
        const struct row *rows, size_t count, const struct row *others, size_t others_count)
{
	size_t at = 0, other = 0, apart = 0;

	while (at < count && other < others_count) {
		int order = by_name(&rows[at], &others[other]);

		if (order || !message_equal(rows[at].said, others[other].said))
			apart += order ? 1 : 2;
		at += order <= 0;
		other += order >= 0;
	}
	return apart + (count - at) + (others_count - other);
}

/* How many rows are in one word and not in the other, in whatever order they are said. */
static size_t words_apart(const Tether__Hello *one, const Tether__Hello *other)
{
	size_t apart = rows_of(one) + rows_of(other), count, others_count;
	struct row *rows = rows_make(one, &count);
	struct row *others = rows_make(other, &others_count);

	if (rows && others)
		apart = rows_apart(rows, count, others, others_count);
	free(rows);
	free(others);
	return apart;
}

bool directory_host_may_say(struct directory *directory, const char *name, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count, uint64_t now_ms)
{
	struct directory_host *host = directory_host_make(directory, name);
	Tether__Hello word = TETHER__HELLO__INIT;
	size_t apart;

	word.vms = vms;
	word.n_vms = vm_count;
	word.slots = slots;
	word.n_slots = slot_count;
	if (!host || (host->said && message_equal(&host->said->base, &word.base)))
		return true;
	apart = host->said ? words_apart(host->said, &word) : rows_of(&word);
	if (host->said && !apart)
		return true;
	if (rate_take(&host->words, ROWS_PER_S, ROWS_AT_ONCE, 0, now_ms)) {
		directory->put_off++;
		return false;
	}
	rate_take(&host->words, ROWS_PER_S, ROWS_AT_ONCE, ROWS_OF_ANY + (unsigned)apart, now_ms);
	return true;
}

uint64_t directory_put_off(const struct directory *directory)
{
	return directory->put_off;
}
