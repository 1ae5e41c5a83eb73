/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A migration of vm1 between slots that have places and GUIDs, and what it makes of the SM's
 * answers. */
#ifndef TETHER_TEST_SMD_TOLD_H
#define TETHER_TEST_SMD_TOLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/json_read.h"
#include "sm-side/migration/migration.h"
#include "sm-side/migration/sm_talk.h"

static inline struct migration_intent intent_between_slots(void)
{
	return (struct migration_intent){.id = 7,
	        .epoch = 3,
	        .vm = "vm1",
	        .source = {"hyp1", "vf1", 0x101, 1, 0},
	        .destination = {"hyp2", "vf2", 0x102, 2, 0},
	        .identity = {0x1001, 0x2001},
	        .other = {0x1002, 0x2002},
	        .address = {.lid = 11},
	        .fabric = true};
}

static inline enum migration_event told(
        struct migration *m, enum migration_action action, const char *text)
{
	struct json_object *answer = json_read_whole(text, strlen(text));
	bool carried = false;
	enum migration_event event;

	assert_non_null(answer);
	event = sm_talk_take(m, action, answer, &carried);
	json_object_put(answer);
	return event;
}

#endif
