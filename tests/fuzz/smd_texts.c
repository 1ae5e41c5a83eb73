/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Texts that tether-smd reads: a client's body, the SM's answer, records of the journal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/api_json.h"
#include "sm-side/json_read.h"
#include "sm-side/sm_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void records(char *text)
{
	struct ledger ledger;
	char *save = NULL;

	ledger_init(&ledger, &deadlines_default);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		ledger_replay(&ledger, line);
	for (struct ledger_entry *e = ledger.newest; e; e = e->older)
		json_object_put(api_migration(e, false));
	ledger_clear(&ledger);
}

static void sm_answer(const char *text)
{
	struct migration_intent intent = {.id = 1, .fabric = true};

	for (int action = ACTION_NOTHING + 1; action < ACTION_COUNT; action++) {
		struct json_object *answer = json_read_whole(text, strlen(text));
		struct migration m;
		bool carried;

		migration_init(&m, &intent, &deadlines_default);
		if (answer)
			sm_talk_take(&m, action, answer, &carried);
		json_object_put(answer);
		migration_clear(&m);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_migrate migrate;
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (*data) {
	case 'r':
		records(text);
		break;
	case 's':
		sm_answer(text);
		break;
	default:
		api_migrate_read(text, size - 1, &migrate);
	}
	free(text);
	return 0;
}
