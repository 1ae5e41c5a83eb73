/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Bodies of the API and settings: what is wrong is said, never guessed at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/api/api_json.h"
#include "sm-side/guid_text.h"
#include "sm-side/json_read.h"
#include "sm-side/smd_settings.h"

static void a_request_is_read(void **unused)
{
	static const char body[] = "{\"vm\":\"vm1\",\"to\":\"hyp2\",\"force\":true}";
	static const char plain[] = " {\"to\":\"hyp2\", \"vm\":\"vm1\"}\n";
	struct api_migrate migrate;

	assert_null(api_migrate_read(body, strlen(body), &migrate));
	assert_string_equal(migrate.vm, "vm1");
	assert_string_equal(migrate.to, "hyp2");
	assert_true(migrate.force);
	assert_null(api_migrate_read(plain, strlen(plain), &migrate));
	assert_false(migrate.force);
}

static void a_malformed_request_is_refused(void **unused)
{
	static const char *const bodies[] = {
	        "",
	        "{",
	        "[]",
	        "null",
	        "\"vm\"",
	        "{}",
	        "{\"vm\":\"vm1\"}",
	        "{\"vm\":\"vm1\",\"to\":7}",
	        "{\"vm\":\"\",\"to\":\"b\"}",
	        "{\"vm\":\"a\",\"to\":\"b\",\"force\":1}",
	        "{\"vm\":\"a\",\"to\":\"b\",\"force\":\"yes\"}",
	        "{\"vm\":\"a\",\"to\":\"b\",\"fore\":true}",
	        "{\"vm\":\"a\",\"to\":\"b\"}{}",
	        "{\"vm\":\"a\\u0000b\",\"to\":\"b\"}",
	        "{'vm':'a','to':'b'}",
	        "{\"vm\":\"\xff\",\"to\":\"b\"}",
	        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	};
	char long_name[400];
	struct api_migrate migrate;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		if (!api_migrate_read(bodies[i], strlen(bodies[i]), &migrate))
			fail_msg("taken: %s", bodies[i]);
	}
	snprintf(long_name, sizeof(long_name), "{\"vm\":\"%0300d\",\"to\":\"b\"}", 1);
	assert_non_null(api_migrate_read(long_name, strlen(long_name), &migrate));
}

static void a_mode_is_driven_or_called(void **unused)
{
	static const struct {
		const char *body;
		bool good, called;
	} rows[] = {
	        {"{\"vm\":\"a\",\"to\":\"b\",\"mode\":\"called\"}", true, true},
	        {"{\"vm\":\"a\",\"to\":\"b\",\"mode\":\"driven\"}", true, false},
	        {"{\"vm\":\"a\",\"to\":\"b\"}", true, false},
	        {"{\"vm\":\"a\",\"to\":\"b\",\"mode\":\"flown\"}", false, false},
	        {"{\"vm\":\"a\",\"to\":\"b\",\"mode\":true}", false, false},
	};
	struct api_migrate migrate;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(!api_migrate_read(rows[i].body, strlen(rows[i].body), &migrate),
		        rows[i].good);
		if (rows[i].good)
			assert_int_equal(migrate.called, rows[i].called);
	}
}

static void a_report_is_one_known_step(void **unused)
{
	static const char good[] = "{\"step\":\"attached\"}";
	static const char *const bad[] = {"", "{}", "[]", "{\"step\":7}", "{\"step\":\"\"}",
	        "{\"step\":\"detached\",\"vm\":\"a\"}", "{\"step\":\"detached\"} x"};
	enum migration_report report;

	assert_null(api_report_read(good, strlen(good), &report));
	assert_int_equal(report, REPORT_ATTACHED);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(api_report_read(bad[i], strlen(bad[i]), &report));
}

static void every_prefix_of_a_request_is_refused(void **unused)
{
	static const char body[] = "{\"vm\":\"vm1\",\"to\":\"hyp2\",\"force\":false}";
	struct api_migrate migrate;

	for (size_t length = 0; length < strlen(body); length++)
		assert_non_null(api_migrate_read(body, length, &migrate));
}

static void a_migration_is_told_with_its_timeline(void **unused)
{
	struct migration_intent intent = {.id = 7, .vm = "vm1", .fabric = true};
	struct ledger_entry entry = {0};
	struct json_object *told, *steps, *step;
	uint64_t started;

	migration_init(&entry.migration, &intent, &deadlines_default);
	migration_start(&entry.migration, 5000);
	migration_event(&entry.migration, EVENT_FAILED, 5300);
	testimony_find(&entry.migration.testimony, "sm", "unknown-port", "no such port");
	told = api_migration(&entry, false);
	assert_string_equal(json_read_string(told, "outcome"), "refused");
	steps = json_object_object_get(told, "steps");
	assert_int_equal(json_object_array_length(steps), 2);
	step = json_object_array_get_idx(steps, 1);
	assert_int_equal(json_read_number(step, "started_us", UINT64_MAX, &started), 0);
	assert_int_equal(started, 300);
	assert_int_equal(json_object_array_length(json_object_object_get(told, "refusals")), 1);
	json_object_put(told);
	migration_clear(&entry.migration);
}

static void guids_and_gids_are_read_strictly(void **unused)
{
	static const char *const bad[] = {
	        "", "0x", "1234g", "0x12345678901234567", "-1", "0x-1", " 0x1", "0x1 "};
	uint8_t gid[16];
	uint64_t guid;
	char text[GUID_TEXT_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(guid_parse(bad[i], &guid), -EINVAL);
	assert_int_equal(guid_parse("0xfedcba9876543210", &guid), 0);
	guid_format(guid, text);
	assert_string_equal(text, "0xfedcba9876543210");
	assert_int_equal(gid_parse("fe80::1", gid), 0);
	assert_int_equal(gid[15], 1);
	assert_int_equal(gid_parse("fe800000000000000000000000000002", gid), 0);
	assert_int_equal(gid[15], 2);
	assert_int_equal(gid_parse("fe80000000000000000000000000000g", gid), -EINVAL);
}

/* ---- settings ---- */

static int settings_of(const char *text, struct smd_settings *settings, char error[256])
{
	char path[] = "/tmp/smd_api.XXXXXX";
	int fd = mkstemp(path);
	int err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	err = smd_settings_read(settings, path, error, 256);
	unlink(path);
	return err;
}

static void settings_are_read(void **unused)
{
	struct smd_settings s;
	char error[256] = "";

	assert_int_equal(settings_of("listen = unix:/run/x\nfabric = none\nstop_ms = 77\n"
	                             "log_level = debug\n",
	                         &s, error),
	        0);
	assert_string_equal(s.listen, "unix:/run/x");
	assert_false(s.fabric);
	assert_int_equal(s.deadlines.stop_ms, 77);
	assert_int_equal(s.log_level, LOG_LEVEL_DEBUG);
	assert_string_equal(s.api, "/run/tether/api.sock");
	smd_settings_clear(&s);
}

static void a_wrong_setting_is_named_with_its_line(void **unused)
{
	static const char *const bad[] = {"listen = tcp:1\n", "listen = /run/x\n", "api =\n",
	        "journal =\n", "fabric = maybe\n", "log_level = loud\n", "stop_ms = soon\n",
	        "stpo_ms = 5\n", "sm_socket =\n"};
	struct smd_settings s;
	char error[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[128];

		snprintf(text, sizeof(text), "# first line\n%s", bad[i]);
		if (!settings_of(text, &s, error))
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(error, ":2:"));
		smd_settings_clear(&s);
	}
}

static void a_lease_shorter_than_stop_is_refused(void **unused)
{
	struct smd_settings s;
	char error[256];

	assert_int_equal(settings_of("lease_ms = 100\nstop_ms = 100\n", &s, error), -EINVAL);
	assert_non_null(strstr(error, "lease_ms (100) has to be longer"));
	smd_settings_clear(&s);
	assert_int_equal(settings_of("stop_ms = 100\nlease_ms = 101\n", &s, error), 0);
	smd_settings_clear(&s);
}

static void a_lease_that_the_plugin_would_refuse_is_refused_at_the_start(void **unused)
{
	struct smd_settings s;
	char error[256];

	assert_int_equal(settings_of("sm_lease_ms = 10001\n", &s, error), -EINVAL);
	assert_non_null(strstr(error, "sm_lease_ms (10001) is longer than the plugin"));
	smd_settings_clear(&s);
	assert_int_equal(settings_of("sm_lease_ms = 10001\nfabric = none\n", &s, error), 0);
	smd_settings_clear(&s);
	assert_int_equal(settings_of("sm_lease_ms = 10000\n", &s, error), 0);
	smd_settings_clear(&s);
}

static void a_lease_that_a_slow_host_outlives_is_doubted(void **unused)
{
	struct smd_settings s;
	char text[256];

	assert_int_equal(settings_of("", &s, text), 0);
	assert_false(smd_settings_doubt(&s, text, sizeof(text)));
	s.deadlines.guids_ms++;
	assert_true(smd_settings_doubt(&s, text, sizeof(text)));
	assert_non_null(strstr(text, "sm_lease_ms (6000) is shorter"));
	assert_non_null(strstr(text, "= 6002"));
	s.fabric = false;
	assert_false(smd_settings_doubt(&s, text, sizeof(text)));
	smd_settings_clear(&s);
}

static void more_at_a_time_than_overall_has_room_for_are_doubted(void **unused)
{
	struct smd_settings s;
	char text[256];

	assert_int_equal(settings_of("migrations_max = 5\n", &s, text), 0);
	assert_false(smd_settings_doubt(&s, text, sizeof(text)));
	s.deadlines.overall_ms--;
	assert_true(smd_settings_doubt(&s, text, sizeof(text)));
	assert_non_null(strstr(text, "overall_ms (29999) is shorter than migrations_max (5)"));
	assert_non_null(strstr(text, "in all 30000"));
	s.fabric = false;
	assert_false(smd_settings_doubt(&s, text, sizeof(text)));
	smd_settings_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_request_is_read),
	        cmocka_unit_test(a_malformed_request_is_refused),
	        cmocka_unit_test(a_mode_is_driven_or_called),
	        cmocka_unit_test(a_report_is_one_known_step),
	        cmocka_unit_test(every_prefix_of_a_request_is_refused),
	        cmocka_unit_test(a_migration_is_told_with_its_timeline),
	        cmocka_unit_test(guids_and_gids_are_read_strictly),
	        cmocka_unit_test(settings_are_read),
	        cmocka_unit_test(a_wrong_setting_is_named_with_its_line),
	        cmocka_unit_test(a_lease_shorter_than_stop_is_refused),
	        cmocka_unit_test(a_lease_that_the_plugin_would_refuse_is_refused_at_the_start),
	        cmocka_unit_test(a_lease_that_a_slow_host_outlives_is_doubted),
	        cmocka_unit_test(more_at_a_time_than_overall_has_room_for_are_doubted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
