/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Of which migrations it is left to be said that their VM has moved; no other is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/conductor/conductor_state.h"

static unsigned looks;
static char said[256];

int root_send(struct root *root, const Tether__Event *event)
{
	strncat(said, event->vm, sizeof(said) - strlen(said) - 1);
	strncat(said, " ", sizeof(said) - strlen(said) - 1);
	return 0;
}

char *root_concerned(struct root *root, const Tether__Event *event)
{
	return NULL;
}

struct vm_changes *vm_changer_changes(const struct vm_changer *changer)
{
	return NULL;
}

bool __wrap_vm_changes_has_gone(const struct vm_changes *changes, const char *vm, int64_t since_us);

bool __wrap_vm_changes_has_gone(const struct vm_changes *changes, const char *vm, int64_t since_us)
{
	looks++;
	return !strcmp(vm, "gone");
}

int conductor_append(struct conductor *c, const struct record *records, size_t count, bool durable)
{
	return 0;
}

struct migration *drive_migration(const struct drive *d)
{
	return &d->entry->migration;
}

static struct ledger_entry *ended(struct ledger *ledger, const char *vm, const char *servers)
{
	struct migration_intent intent = {.id = ledger->last_id + 1};
	struct ledger_entry *entry;

	strcpy(intent.vm, vm);
	entry = ledger_add(ledger, &intent);
	assert_non_null(entry);
	entry->migration.state = STATE_DONE;
	entry->servers = servers ? strdup(servers) : NULL;
	return entry;
}

static void only_what_is_left_is_said_and_looked_at(void **state)
{
	static const struct deadlines deadlines = {.overall_ms = 1000};
	struct ledger ledger;
	struct conductor c = {.ledger = &ledger};

	ledger_init(&ledger, &deadlines);
	for (unsigned i = 0; i < 100; i++)
		ended(&ledger, "nobody", NULL);
	for (unsigned i = 0; i < 100; i++)
		ended(&ledger, "said", "hyp1")->news_are_said = true;
	ended(&ledger, "out", "hyp1")->news_are_out = true;
	ended(&ledger, "vm1", "hyp1 hyp2");
	ended(&ledger, "gone", "hyp1");
	ended(&ledger, "vm2", "hyp2");
	ended(&ledger, "open", "hyp2")->migration.state = STATE_PREPARING;
	news_say_left(&c);
	assert_string_equal(said, "vm1 vm2 ");
	assert_int_equal(looks, 3);
	news_say_left(&c);
	assert_string_equal(said, "vm1 vm2 ");
	assert_int_equal(looks, 4);
	ledger_clear(&ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(only_what_is_left_is_said_and_looked_at),
	};

	return cmocka_run_group_tests_name("smd_news", tests, NULL, NULL);
}
