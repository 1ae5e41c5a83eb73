/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A migration of vm1 from hyp1 to hyp2 that tests take to the state they want. */
#ifndef TETHER_TESTS_MIGRATION_DRIVE_H
#define TETHER_TESTS_MIGRATION_DRIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/migration/migration.h"

static const struct deadlines *const deadlines = &deadlines_default;

static inline struct migration_intent intent_of(bool fabric)
{
	return (struct migration_intent){.id = 7,
	        .epoch = 3,
	        .vm = "vm1",
	        .source = {.host = "hyp1", .slot = "vf1"},
	        .destination = {.host = "hyp2", .slot = "vf2"},
	        .address = {.lid = 11},
	        .fabric = fabric};
}

static inline void drive_to(struct migration *m, enum migration_state state)
{
	struct migration_intent intent = intent_of(true);

	migration_init(m, &intent, deadlines);
	migration_start(m, 1);
	for (int i = 0; m->state != state && i < STATE_COUNT; i++)
		migration_event(m, EVENT_DONE, 1);
	assert_int_equal(m->state, state);
}

#endif
