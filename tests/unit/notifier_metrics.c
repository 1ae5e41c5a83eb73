/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/metrics/agent_metrics.h"
#include "notifier/metrics/metrics_address.h"
#include "notifier/metrics/metrics_text.h"
#include "notifier/notices/notice_metrics.h"

static void families_are_written_as_the_format_wants_them(void **state)
{
	struct metrics_text m = {0};

	metrics_one(&m, "tether_a", "gauge", "one \\ two\nthree", 7);
	metrics_family(&m, "tether_b_total", "counter", "by VM");
	metrics_sample(&m, "tether_b_total", "vm", "plain", 1);
	metrics_sample(&m, "tether_b_total", "vm", "a\"b\\c\nd", UINT64_MAX);
	assert_int_equal(metrics_end(&m), 0);
	assert_string_equal(m.text,
	        "# HELP tether_a one \\\\ two\\nthree\n"
	        "# TYPE tether_a gauge\n"
	        "tether_a 7\n"
	        "# HELP tether_b_total by VM\n"
	        "# TYPE tether_b_total counter\n"
	        "tether_b_total{vm=\"plain\"} 1\n"
	        "tether_b_total{vm=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n");
	metrics_clear(&m);
}

static void text_grows_as_it_has_to(void **state)
{
	struct metrics_text m = {0};

	for (unsigned i = 0; i < 10000; i++)
		metrics_sample(&m, "tether_many", "vm", "a", i);
	assert_int_equal(metrics_end(&m), 0);
	assert_int_equal(strlen(m.text), m.length);
	assert_non_null(strstr(m.text, "tether_many{vm=\"a\"} 9999\n"));
	metrics_clear(&m);
	metrics_clear(&m);
}

/* Prometheus takes a family that comes twice for a fault of the whole text. */
static void agent_tells_each_family_once(void **state)
{
	Tether__VmReport of_vm1 = TETHER__VM_REPORT__INIT, of_vm2 = TETHER__VM_REPORT__INIT;
	Tether__VmReport *vms[] = {&of_vm1, &of_vm2};
	Tether__Counter events = TETHER__COUNTER__INIT, late = TETHER__COUNTER__INIT;
	Tether__Counter *counters[] = {&events, &late};
	Tether__Report report = TETHER__REPORT__INIT;
	struct metrics_text m = {0};

	of_vm1.name = (char *)"vm1";
	of_vm1.processes = 3;
	of_vm2.name = (char *)"vm2";
	events.name = (char *)"events";
	events.value = 12;
	late.name = (char *)"late_answers";
	report.version = (char *)"0.1";
	report.epoch = 9;
	report.vms = vms;
	report.n_vms = 2;
	report.counters = counters;
	report.n_counters = 2;
	agent_metrics_tell(&report, true, &m);
	assert_int_equal(metrics_end(&m), 0);
	assert_non_null(strstr(m.text, "tether_agent_info{version=\"0.1\"} 1\n"));
	assert_non_null(strstr(m.text, "\ntether_agent_parent_connected 1\n"));
	assert_non_null(strstr(m.text, "\ntether_agent_epoch 9\n"));
	assert_non_null(strstr(m.text, "\ntether_agent_vms 2\n"));
	assert_non_null(strstr(m.text, "\ntether_agent_processes{vm=\"vm1\"} 3\n"
	                               "tether_agent_processes{vm=\"vm2\"} 0\n"));
	assert_non_null(strstr(m.text, "\n# TYPE tether_agent_events_total counter\n"
	                               "tether_agent_events_total 12\n"));
	assert_non_null(strstr(m.text, "\ntether_agent_late_answers_total 0\n"));
	for (const char *at = m.text; (at = strstr(at, "# TYPE ")); at++) {
		char line[128];

		snprintf(line, sizeof(line), "%.*s\n", (int)strcspn(at, "\n"), at);
		assert_null(strstr(at + 1, line));
	}
	metrics_clear(&m);
}

static void nobody_else_than_this_machine_may_ask(void **state)
{
	static const char *const good[] = {
	        "none", "127.0.0.1:9710", "127.9.9.9:1", "[::1]:65535", "unix:/run/tether/m.sock"};
	static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
	        "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:-1", "0.0.0.0:9710", "10.0.0.1:9710",
	        "[::]:9710", "[fe80::1]:9710", "::1:9710", "[::1:9710", "[]:9710", "localhost:9710",
	        ":9710", "9710", "unix:", "None", "[::ffff:127.0.0.1]:9710",
	        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:1"};
	char *taken = NULL;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(metrics_address_take(&taken, "/etc/x", good[i]), 0);
		assert_string_equal(taken, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (metrics_address_take(&taken, "/etc/x", bad[i]) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	free(taken);
}

static void notices_are_told_by_what_they_were(void **state)
{
	struct notice_counts counts = {.heard = 9, .news = 4, .forged = 3};
	struct metrics_text m = {0};

	notice_metrics_tell(&counts, &m);
	assert_int_equal(metrics_end(&m), 0);
	assert_non_null(strstr(m.text, "# TYPE tether_agent_notices_total counter\n"
	                               "tether_agent_notices_total{kind=\"heard\"} 9\n"
	                               "tether_agent_notices_total{kind=\"news\"} 4\n"));
	assert_non_null(strstr(m.text, "tether_agent_notices_total{kind=\"forged\"} 3\n"));
	metrics_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(notices_are_told_by_what_they_were),
	        cmocka_unit_test(families_are_written_as_the_format_wants_them),
	        cmocka_unit_test(text_grows_as_it_has_to),
	        cmocka_unit_test(agent_tells_each_family_once),
	        cmocka_unit_test(nobody_else_than_this_machine_may_ask),
	};

	return cmocka_run_group_tests_name("notifier_metrics", tests, NULL, NULL);
}
