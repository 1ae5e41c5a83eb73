/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What tether-smd reads: a client's body, the SM's answer and plan, what shims have said. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/api/api_json.h"
#include "sm-side/json_read.h"
#include "sm-side/journal/plan_evidence.h"
#include "sm-side/migration/sm_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void said(const uint8_t *bytes, size_t length)
{
	struct testimony testimony;

	testimony_init(&testimony);
	testimony_unpack(&testimony, "vm1", bytes, length);
	testimony_clear(&testimony);
}

static void plan(const char *text)
{
	struct json_object *answer = json_read_whole(text, strlen(text));
	struct plan_record record;
	uint8_t *entries = NULL;

	if (answer && !plan_evidence_read(answer, &record, &entries))
		free(entries);
	json_object_put(answer);
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
	enum migration_report report;
	struct api_migrate migrate;
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (*data) {
	case 'r':
		said(data + 1, size - 1);
		break;
	case 'p':
		plan(text);
		break;
	case 's':
		sm_answer(text);
		break;
	default:
		api_migrate_read(text, size - 1, &migrate);
		api_report_read(text, size - 1, &report);
	}
	free(text);
	return 0;
}
