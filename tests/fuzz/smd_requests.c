/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What tether-smd reads of evacuations, dry runs and VMs that come and go: clients' bodies, the
 * SM's plan on its way out, the SM's answers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/api/evacuation_json.h"
#include "sm-side/json_read.h"
#include "sm-side/api/plan_json.h"
#include "sm-side/api/vm_change_json.h"
#include "sm-side/vm_change/vm_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void wish(const char *text, size_t length)
{
	struct evacuation_wish wish;

	if (!evacuation_wish_read(text, length, &wish))
		free(wish.to);
}

static void question(const char *text, size_t length)
{
	struct plan_question question;

	plan_question_read(text, length, &question);
}

static void plan(const char *text, size_t length)
{
	struct json_object *answer = json_read_whole(text, length);
	struct migration_intent intent = {.vm = "vm1"};
	struct plan_question question = {.order = "fast"};

	if (answer)
		json_object_put(plan_tell(&intent, &question, answer));
	json_object_put(answer);
}

static void vm_wish(const char *text, size_t length)
{
	struct vm_wish wish;

	vm_wish_read(text, length, &wish);
}

/* To each question that a VM which comes or goes asks. */
static void vm_answer(const char *text, size_t length)
{
	struct json_object *answer = json_read_whole(text, length);
	struct vm_change_intent intent = {.vm = "vm1", .dynamic = true, .fabric = true};
	struct vm_change change;

	for (int state = 0; answer && state < CHANGE_STATE_COUNT; state++) {
		vm_change_init(&change, &intent, &deadlines_default);
		change.state = state;
		vm_talk_take(&change, answer);
		json_object_put(vm_change_tell(&change));
	}
	json_object_put(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (!size)
		return 0;
	switch (*data) {
	case 'q':
		question(text, size - 1);
		break;
	case 'p':
		plan(text, size - 1);
		break;
	case 'v':
		vm_wish(text, size - 1);
		break;
	case 'a':
		vm_answer(text, size - 1);
		break;
	default:
		wish(text, size - 1);
	}
	return 0;
}
