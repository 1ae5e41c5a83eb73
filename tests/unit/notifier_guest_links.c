/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a host asks of its links to guests; the links themselves are played. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/link/connection.h"
#include "notifier/link/guest_links.h"

static char played;
static struct connection_settings given; /* last */

/* The linker puts these in the place of the real ones (--wrap). */
struct connection *__wrap_connection_connect(struct event_base *base, const char *address,
        const struct connection_settings *settings, const struct connection_callbacks *callbacks,
        void *owner);
void __wrap_connection_settings_set(
        struct connection *connection, const struct connection_settings *settings);
void __wrap_connection_destroy(struct connection *connection);

struct connection *__wrap_connection_connect(struct event_base *base, const char *address,
        const struct connection_settings *settings, const struct connection_callbacks *callbacks,
        void *owner)
{
	given = *settings;
	return (struct connection *)&played;
}

void __wrap_connection_settings_set(
        struct connection *connection, const struct connection_settings *settings)
{
	given = *settings;
}

void __wrap_connection_destroy(struct connection *connection)
{
}

static void what_a_guest_may_say_stays_limited_when_settings_are_read_again(void **state)
{
	const struct guest_links_settings settings = {.directory = "/nonexistent"};
	struct connection_settings connections = connection_settings_default;
	struct event_base *base = event_base_new();
	struct guest_links *links =
	        guest_links_create(base, &settings, &connections, NULL, NULL, NULL);
	unsigned per_s, at_once;

	assert_non_null(links);
	assert_int_equal(guest_links_open(links, "vm1", "virtio:/nonexistent"), 0);
	per_s = given.frames_per_s;
	at_once = given.frames_at_once;
	assert_int_not_equal(per_s, 0);
	connections.heartbeat_ms = 7;
	guest_links_settings_set(links, &connections);
	assert_int_equal(given.heartbeat_ms, 7);
	assert_int_equal(given.frames_per_s, per_s);
	assert_int_equal(given.frames_at_once, at_once);
	assert_int_equal(guest_links_open(links, "vm2", "virtio:/nonexistent"), 0);
	assert_int_equal(given.heartbeat_ms, 7);
	assert_int_equal(given.frames_per_s, per_s);
	guest_links_destroy(links);
	event_base_free(base);
	libevent_global_shutdown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_a_guest_may_say_stays_limited_when_settings_are_read_again),
	};

	return cmocka_run_group_tests_name("notifier_guest_links", tests, NULL, NULL);
}
