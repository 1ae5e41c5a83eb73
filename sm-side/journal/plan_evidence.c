/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/journal/plan_evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/json_read.h"

enum { BLOCK_LIDS = 64, LID_LIMIT = 0xc000 };

struct change {
	uint64_t switch_guid;
	unsigned block;
	uint8_t before[BLOCK_LIDS], after[BLOCK_LIDS];
};

static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int block_read(struct json_object *change, const char *name, uint8_t block[BLOCK_LIDS])
{
	const char *text = json_read_string(change, name);

	if (!text || strlen(text) != 2 * BLOCK_LIDS)
		return -EBADMSG;
	for (size_t i = 0; i < BLOCK_LIDS; i++) {
		int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		block[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int change_read(struct json_object *object, struct change *change)
{
	if (json_read_guid(object, "switch_guid", &change->switch_guid) ||
	        json_read_unsigned(object, "block", &change->block) ||
	        change->block >= LID_LIMIT / BLOCK_LIDS ||
	        block_read(object, "before", change->before) ||
	        block_read(object, "after", change->after))
		return -EBADMSG;
	return 0;
}

/* A block that is written more than once changes other LIDs each time. */
static uint8_t *entries_put(const struct change *change, uint8_t *at)
{
	for (unsigned i = 0; i < BLOCK_LIDS; i++) {
		unsigned lid = change->block * BLOCK_LIDS + i;

		if (change->before[i] == change->after[i])
			continue;
		for (int shift = 56; shift >= 0; shift -= 8)
			*at++ = (uint8_t)(change->switch_guid >> shift);
		*at++ = (uint8_t)(lid >> 8);
		*at++ = (uint8_t)lid;
		*at++ = change->before[i];
		*at++ = change->after[i];
	}
	return at;
}

static int changes_read(struct json_object *list, uint8_t **entries, size_t *length)
{
	size_t count = json_object_array_length(list);
	uint8_t *at = NULL;

	*length = 0;
	for (size_t i = 0; i < count; i++) {
		struct change change;
		uint8_t *grown;

		if (change_read(json_object_array_get_idx(list, i), &change)) {
			free(at);
			return -EBADMSG;
		}
		grown = realloc(at, *length + BLOCK_LIDS * PLAN_ENTRY_BYTES);
		if (!grown) {
			free(at);
			return -ENOMEM;
		}
		at = grown;
		*length = (size_t)(entries_put(&change, at + *length) - at);
	}
	*entries = at;
	return 0;
}

/* Older plugins know one order and one reach. */
static int word_read(struct json_object *answer, const char *name, const char *missing, char *word)
{
	int err = json_read_text(answer, name, word, RECORD_WORD_BYTES);

	if (err == -ENOENT)
		strcpy(word, missing);
	return err == -ENOENT ? 0 : err;
}

int plan_evidence_read(struct json_object *answer, struct plan_record *plan, uint8_t **entries)
{
	struct json_object *list = json_object_object_get(answer, "changes");
	struct plan_record read = {0};
	int err;

	if (json_read_text(answer, "hash", read.hash, sizeof(read.hash)) ||
	        json_read_number(answer, "generation", INT64_MAX, &read.generation) ||
	        word_read(answer, "order", "fast", read.order) ||
	        word_read(answer, "reach", "deterministic", read.reach))
		return -EBADMSG;
	json_read_unsigned(answer, "lft_sets", &read.lft_sets);
	*entries = NULL;
	if (json_object_is_type(list, json_type_array)) {
		err = changes_read(list, entries, &read.entries.length);
		if (err)
			return err;
	}
	read.entries.at = *entries;
	*plan = read;
	return 0;
}
