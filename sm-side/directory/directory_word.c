/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/message.h"

struct row {
	const char *name;
	size_t at;
};

static int by_name_and_place(const void *a, const void *b)
{
	const struct row *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order ? order : (one->at > other->at) - (one->at < other->at);
}

/* Of each row: has its name come before? NULL: no memory. */
static bool *are_again(struct row *rows, size_t count)
{
	bool *again = calloc(count + 1, sizeof(*again));

	if (!again)
		return NULL;
	qsort(rows, count, sizeof(*rows), by_name_and_place);
	for (size_t i = 1; i < count; i++)
		again[rows[i].at] = !strcmp(rows[i - 1].name, rows[i].name);
	return again;
}

static int vms_once(struct directory *directory, Tether__Hello *said)
{
	struct row *rows = calloc(said->n_vms + 1, sizeof(*rows));
	bool *again = NULL;
	size_t count = said->n_vms;

	for (size_t i = 0; rows && i < count; i++)
		rows[i] = (struct row){said->vms[i]->name, i};
	if (rows)
		again = are_again(rows, count);
	free(rows);
	if (!again)
		return -ENOMEM;
	said->n_vms = 0;
	for (size_t i = 0; i < count; i++) {
		if (again[i])
			tether__host_vm__free_unpacked(said->vms[i], NULL);
		else
			said->vms[said->n_vms++] = said->vms[i];
	}
	directory->refused[DIRECTORY_VM] += count - said->n_vms;
	free(again);
	return 0;
}

static int slots_once(struct directory *directory, Tether__Hello *said)
{
	struct row *rows = calloc(said->n_slots + 1, sizeof(*rows));
	bool *again = NULL;
	size_t count = said->n_slots;

	for (size_t i = 0; rows && i < count; i++)
		rows[i] = (struct row){said->slots[i]->name, i};
	if (rows)
		again = are_again(rows, count);
	free(rows);
	if (!again)
		return -ENOMEM;
	said->n_slots = 0;
	for (size_t i = 0; i < count; i++) {
		if (again[i])
			tether__slot__free_unpacked(said->slots[i], NULL);
		else
			said->slots[said->n_slots++] = said->slots[i];
	}
	directory->refused[DIRECTORY_PLACE] += count - said->n_slots;
	free(again);
	return 0;
}

Tether__Hello *directory_word_copy(struct directory *directory, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count)
{
	Tether__Hello hello = TETHER__HELLO__INIT, *said;

	hello.vms = vms;
	hello.n_vms = vm_count;
	hello.slots = slots;
	hello.n_slots = slot_count;
	said = message_copy(&hello.base);
	if (!said || (!vms_once(directory, said) && !slots_once(directory, said)))
		return said;
	tether__hello__free_unpacked(said, NULL);
	return NULL;
}
