/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* An undo file. What is taken is within the bounds that carrying out relies on and is written as it
 * was read; what is not has a sentence. */
#include <stdlib.h>
#include <string.h>

#include "sm-side/raw/change_file.h"
#include "sm-side/raw/change_left.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct fabric_change *change)
{
	for (uint32_t i = 0; i < change->sets.change_count; i++) {
		const struct plan_change *set = &change->sets.changes[i];

		if (set->wave >= change->sets.wave_count ||
		        set->block > LID_UNICAST_MAX / LFT_BLOCK_LIDS ||
		        !memcmp(set->before, set->after, LFT_BLOCK_LIDS))
			abort();
	}
	for (uint32_t i = 0; i < change->slot_count; i++)
		if (!change->slots[i].before || !change->slots[i].after ||
		        change->slots[i].after > LID_UNICAST_MAX || !change->slots[i].place.port)
			abort();
}

static void check_written_again(const struct fabric_change *change)
{
	struct json_object *whole = change_to_json(change);
	const char *text = json_object_to_json_string_ext(whole, JSON_C_TO_STRING_PLAIN);
	struct fabric_change again;
	const char *why;

	if (change_parse(text, strlen(text), &again, &why))
		abort();
	if (again.sets.change_count != change->sets.change_count ||
	        again.slot_count != change->slot_count)
		abort();
	fabric_change_clear(&again);
	json_object_put(whole);
}

/* Over a fabric that has none of it. */
static void check_left(const struct fabric_change *change)
{
	struct fabric_read *nothing = fabric_read_create();
	char why[STALE_TEXT_BYTES];
	struct change_left left = {0};

	if (nothing && !change_left(change, CHANGE_BACK, nothing, &left, why)) {
		if (left.sets.change_count || left.slot_count)
			abort();
		change_left_clear(&left);
	}
	fabric_read_destroy(nothing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fabric_change change;
	const char *why = NULL;

	if (change_parse((const char *)data, size, &change, &why)) {
		if (!why)
			abort();
		return 0;
	}
	check_taken(&change);
	check_written_again(&change);
	check_left(&change);
	fabric_change_clear(&change);
	return 0;
}
