/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How long a connecting end waits before it comes again. No pause is waited for. */
#include <event2/util.h>
#include <sys/socket.h>

#include "notifier/base/cleanup.h"
#include "notifier/channel/channel_unix.h"
#include "tests/unit/link_ends.h"
#include "tests/unit/socket_place.h"

enum { FIRST_MS = 100000, MOST_MS = 1500000 };

/* The linker puts these in the place of the real ones (--wrap). */
void __wrap_evutil_secure_rng_get_bytes(void *bytes, size_t size);
int __real_event_add(struct event *event, const struct timeval *wait);
int __wrap_event_add(struct event *event, const struct timeval *wait);

static uint32_t chance;
static struct event *timer; /* the last that was set */
static uint64_t timer_ms;

void __wrap_evutil_secure_rng_get_bytes(void *bytes, size_t size)
{
	assert_int_equal(size, sizeof(chance));
	memcpy(bytes, &chance, size);
}

int __wrap_event_add(struct event *event, const struct timeval *wait)
{
	if (wait) {
		timer = event;
		timer_ms = (uint64_t)wait->tv_sec * 1000 + (uint64_t)wait->tv_usec / 1000;
	}
	return __real_event_add(event, wait);
}

/* One that connects, and the pause that it takes. */
struct scene {
	struct event_base *base;
	struct place place;
	struct connection *connection;
	unsigned opened, frames, ended;
	struct event *again;
	uint64_t pause_ms;
};

static void on_opened(struct connection *connection, void *owner)
{
	struct scene *scene = owner;

	scene->opened++;
	event_base_loopbreak(scene->base);
}

static void on_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct scene *scene = owner;

	scene->frames++;
	event_base_loopbreak(scene->base);
}

/* The pause is set just before this. */
static void on_ended(struct scene *scene)
{
	scene->ended++;
	scene->again = timer;
	scene->pause_ms = timer_ms;
	event_base_loopbreak(scene->base);
}

static void on_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	on_ended(owner);
}

static void on_failed(struct connection *connection, const char *text, void *owner)
{
	on_ended(owner);
}

static const struct connection_callbacks callbacks = {
        .opened = on_opened,
        .frame = on_frame,
        .closed = on_closed,
        .failed = on_failed,
};

static void run_until(struct scene *scene, const unsigned *count, unsigned wanted)
{
	while (*count < wanted)
		link_run(scene->base);
}

/* Its first attempt has failed. */
static void scene_make(struct scene *scene, unsigned heartbeat_ms, uint32_t drawn)
{
	const struct connection_settings settings = {
	        .heartbeat_ms = heartbeat_ms,
	        .reconnect_ms = FIRST_MS,
	        .reconnect_max_ms = MOST_MS,
	        .frame_ms = 60000,
	        .queue_max_bytes = 100000,
	};

	*scene = (struct scene){.base = event_base_new()};
	chance = drawn;
	place_make(&scene->place);
	scene->connection =
	        connection_connect(scene->base, scene->place.address, &settings, &callbacks, scene);
	assert_non_null(scene->connection);
	run_until(scene, &scene->ended, 1);
}

static void scene_clear(struct scene *scene)
{
	connection_destroy(scene->connection);
	event_base_free(scene->base);
	place_remove(&scene->place);
}

/* As if the pause were over. */
static void pause_skip(struct scene *scene)
{
	event_active(scene->again, EV_TIMEOUT, 0);
}

static uint64_t next_pause_ms(struct scene *scene)
{
	pause_skip(scene);
	run_until(scene, &scene->ended, scene->ended + 1);
	return scene->pause_ms;
}

/* The next attempt finds somebody; the other end of its link. */
static int taken(struct scene *scene)
{
	int listener, fd;

	assert_int_equal(channel_unix_listen(scene->place.path, 0600, &listener), 0);
	pause_skip(scene);
	run_until(scene, &scene->opened, scene->opened + 1);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(listener);
	unlink(scene->place.path);
	return fd;
}

static void the_pause_doubles_up_to_its_most(void **state)
{
	static const uint64_t halves_ms[] = {100000, 200000, 400000, 750000, 750000};
	struct scene scene;

	scene_make(&scene, 0, 0);
	assert_int_equal(scene.pause_ms, FIRST_MS / 2);
	for (size_t i = 0; i < ARRAY_SIZE(halves_ms); i++)
		assert_int_equal(next_pause_ms(&scene), halves_ms[i]);
	for (int i = 0; i < 100; i++)
		assert_int_equal(next_pause_ms(&scene), MOST_MS / 2);
	scene_clear(&scene);
}

static void chance_is_half_of_it(void **state)
{
	static const struct {
		uint32_t drawn;
		uint64_t first_ms, second_ms;
	} rows[] = {
	        {0, 50000, 100000},
	        {1, 50001, 100001},
	        {49999, 99999, 149999},
	        {50000, 100000, 150000},
	        {50001, 50000, 150001},
	        {100000, 99999, 200000},
	        {100001, 100000, 100000},
	};
	struct scene scene;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scene_make(&scene, 0, rows[i].drawn);
		assert_int_equal(scene.pause_ms, rows[i].first_ms);
		assert_int_equal(next_pause_ms(&scene), rows[i].second_ms);
		scene_clear(&scene);
	}
}

static void nor_is_it_ever_more(void **state)
{
	struct scene scene;

	scene_make(&scene, 0, UINT32_MAX);
	for (int i = 0; i < 20; i++) {
		assert_in_range(next_pause_ms(&scene), FIRST_MS, MOST_MS);
		chance -= 123456789;
	}
	scene_clear(&scene);
}

static void it_starts_over_after_a_frame_where_there_are_no_heartbeats(void **state)
{
	const struct connection_settings silent = {.frame_ms = 60000, .queue_max_bytes = 100000};
	struct link_end other;
	struct scene scene;

	scene_make(&scene, 0, 0);
	assert_int_equal(next_pause_ms(&scene), FIRST_MS);
	link_end_open(&other, scene.base, taken(&scene), &silent);
	assert_int_equal(interest_send(&other, 1), 0);
	run_until(&scene, &scene.frames, 1);
	connection_drop(scene.connection, "the test wants it");
	run_until(&scene, &scene.ended, 3);
	assert_int_equal(scene.pause_ms, FIRST_MS / 2);
	assert_int_equal(next_pause_ms(&scene), FIRST_MS);
	connection_destroy(other.connection);
	scene_clear(&scene);
}

/* Nobody answers its own, which ends the link. */
static void else_after_a_heartbeat(void **state)
{
	struct scene scene;
	int other;

	scene_make(&scene, 1, 0);
	assert_int_equal(next_pause_ms(&scene), FIRST_MS);
	other = taken(&scene);
	run_until(&scene, &scene.ended, 3);
	assert_int_equal(scene.pause_ms, FIRST_MS / 2);
	close(other);
	scene_clear(&scene);
}

static void who_is_refused_at_once_keeps_its_pause(void **state)
{
	static const unsigned heartbeats_ms[] = {0, 600000};
	struct scene scene;

	for (size_t i = 0; i < ARRAY_SIZE(heartbeats_ms); i++) {
		scene_make(&scene, heartbeats_ms[i], 0);
		assert_int_equal(next_pause_ms(&scene), FIRST_MS);
		close(taken(&scene));
		run_until(&scene, &scene.ended, 3);
		assert_int_equal(scene.pause_ms, 2 * FIRST_MS);
		scene_clear(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_pause_doubles_up_to_its_most),
	        cmocka_unit_test(chance_is_half_of_it),
	        cmocka_unit_test(nor_is_it_ever_more),
	        cmocka_unit_test(it_starts_over_after_a_frame_where_there_are_no_heartbeats),
	        cmocka_unit_test(else_after_a_heartbeat),
	        cmocka_unit_test(who_is_refused_at_once_keeps_its_pause),
	};

	return cmocka_run_group_tests_name("notifier_back_off", tests, NULL, NULL);
}
