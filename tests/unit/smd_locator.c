/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Asking the SM where VMs are, with the SM played here and a clock that stands still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/link/refusal_log.h"
#include "sm-side/directory/directory_locator.h"
#include "sm-side/root/sm_link.h"

enum { ROUNDS = 500 };

static const struct sm_link_callbacks *sm_hears;
static void *sm_hears_owner;
static uint64_t asked;
static int lines;

struct sm_link *sm_link_create(struct event_base *base, const char *path, unsigned retry_ms,
        const struct sm_link_callbacks *callbacks, void *owner)
{
	sm_hears = callbacks;
	sm_hears_owner = owner;
	return (struct sm_link *)&asked;
}

void sm_link_destroy(struct sm_link *link)
{
}

bool sm_link_is_up(const struct sm_link *link)
{
	return true;
}

int sm_link_ask(struct sm_link *link, struct json_object *request, uint64_t *id)
{
	json_object_put(request);
	*id = ++asked;
	return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	*now = (struct timespec){.tv_sec = 1000};
	return 0;
}

void __wrap_log_line(enum log_level level, const char *subsystem, const char *format, ...);
void __wrap_log_line(enum log_level level, const char *subsystem, const char *format, ...)
{
	lines++;
}

static int one_vm(void *owner, struct endpoints *endpoints, bool open)
{
	*endpoints = (struct endpoints){.at = calloc(1, sizeof(*endpoints->at)), .count = 1};
	assert_non_null(endpoints->at);
	endpoints->at[0] = (struct endpoint){.vm = strdup("vm1"), .port_guid = 0x11};
	return 0;
}

static void answered(void *owner)
{
}

static void sm_refuses(const char *reason)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "ok", json_object_new_boolean(false));
	json_object_object_add(answer, "reason", json_object_new_string(reason));
	sm_hears->answer(sm_hears_owner, asked, answer);
	json_object_put(answer);
}

/* Each HELLO of any host has it asked again. */
static void an_sm_that_does_not_answer_fills_no_log(void **state)
{
	static const struct locator_callbacks callbacks = {.fill = one_vm, .answered = answered};
	struct event_base *base = event_base_new();
	struct locator *locator = locator_create(base, "", 1, NULL, &callbacks, NULL);

	assert_non_null(locator);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		locator_look(locator);
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_int_equal(asked, round);
		sm_refuses("not-master");
	}
	assert_int_equal(lines, REFUSALS_AT_ONCE);
	locator_destroy(locator);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_sm_that_does_not_answer_fills_no_log),
	};

	log_level_now = LOG_LEVEL_WARN;
	return cmocka_run_group_tests_name("smd_locator", tests, NULL, NULL);
}
