/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How long a session may be resumed: as long as all is valid that was looked at when it began. */
#include <time.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/tls_link.h"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, YEAR_S = 365 * DAY_S };

/* The linker puts it in the place of the real one (--wrap). OpenSSL goes on by the real clock, so
 * a handshake in full goes well. */
time_t __real_time(time_t *at);
time_t __wrap_time(time_t *at);

static time_t moved_s;

time_t __wrap_time(time_t *at)
{
	time_t now = __real_time(NULL) + moved_s;

	if (at)
		*at = now;
	return now;
}

/* What of it ends after how long; 0: in a year. */
struct row {
	const char *what;
	long host_s, sm_s, between_s, root_s, list_of_sm_s, list_of_host_s;
	time_t over_s;
};

static const struct row rows[] = {
        {.what = "nothing", .over_s = 7 * DAY_S},
        {.what = "who connects", .host_s = HOUR_S, .over_s = HOUR_S},
        {.what = "who accepts", .sm_s = HOUR_S, .over_s = HOUR_S},
        {.what = "the CA between", .between_s = HOUR_S, .over_s = HOUR_S},
        {.what = "the root", .root_s = HOUR_S, .over_s = HOUR_S},
        {.what = "the list of who accepts", .list_of_sm_s = HOUR_S, .over_s = HOUR_S},
        {.what = "the list of who connects", .list_of_host_s = HOUR_S, .over_s = HOUR_S},
        {.what = "the list, and the host before it",
                .host_s = HOUR_S,
                .list_of_sm_s = DAY_S,
                .over_s = HOUR_S},
};

static void end_make(struct tls_end *end, const char *who, long valid_s, long list_s)
{
	struct tls_place *place = &end->scene->place;

	holder_make_dated(place, &end->holder, who, -HOUR_S, valid_s ? valid_s : YEAR_S);
	if (list_s) {
		holder_looks_at_both(place, &end->holder);
		holder_looks_at_crl(place, &end->holder);
		tls_place_crl_ends(place, list_s);
	}
	tls_end_reads(end);
}

static void scene_of(struct tls_scene *scene, const struct row *row)
{
	tls_scene_make(scene);
	tls_place_put_below(&scene->place);
	if (row->between_s)
		tls_place_ca_ends(&scene->place, row->between_s);
	if (row->root_s)
		tls_place_above_ends(&scene->place, row->root_s);
	end_make(&scene->accepting, "sm/smd", row->sm_s, row->list_of_sm_s);
	end_make(&scene->connecting, "host/hyp1", row->host_s, row->list_of_host_s);
	tls_open(scene);
}

static void counted(const struct tls_scene *scene, const char *what, uint64_t full, uint64_t again)
{
	const struct credentials_counts *counts = credentials_counts(scene->accepting.credentials);

	if (counts->full != full || counts->resumed != again)
		fail_msg("%s ends: %llu in full, %llu resumed", what,
		        (unsigned long long)counts->full, (unsigned long long)counts->resumed);
}

static void a_session_is_over_with_the_first_that_ends(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct tls_scene scene;

		moved_s = 0;
		scene_of(&scene, row);
		moved_s = row->over_s / 2;
		tls_reconnect(&scene);
		counted(&scene, row->what, 1, 1);
		moved_s = row->over_s;
		tls_reconnect(&scene);
		counted(&scene, row->what, 2, 1);
		tls_scene_clear(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_session_is_over_with_the_first_that_ends),
	};

	return cmocka_run_group_tests_name("notifier_tls_session_life", tests, NULL, NULL);
}
