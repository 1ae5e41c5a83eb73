/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/root/agents.h"
#include "sm-side/api/agents_json.h"
#include "sm-side/json_read.h"

static void says(struct agents *agents, const char *name, const char *behind, Tether__Role role,
        uint32_t below, uint64_t now_us)
{
	Tether__Report report = TETHER__REPORT__INIT;

	report.name = (char *)name;
	report.behind = (char *)behind;
	report.role = role;
	report.agents = below;
	report.version = (char *)"0.1";
	assert_int_equal(agents_take(agents, &report, now_us), 0);
}

static void host_says(struct agents *agents, const char *name, uint32_t below, uint64_t now_us)
{
	says(agents, name, "", TETHER__ROLE__ROLE_HOST, below, now_us);
}

static const struct agent *find(const struct agents *agents, const char *name)
{
	const struct agent *agent = agents->list;

	while (agent && strcmp(agent->name, name))
		agent = agent->next;
	assert_non_null(agent);
	return agent;
}

static void lag_is_from_question_to_answer(void **state)
{
	struct agents agents = {0};

	agents_round(&agents, 1000);
	agents_here(&agents, "hyp1", TETHER__ROLE__ROLE_HOST);
	agents_here(&agents, "hyp2", TETHER__ROLE__ROLE_HOST);
	host_says(&agents, "hyp2", 0, 1200);
	host_says(&agents, "hyp1", 0, 1700);
	assert_int_equal(find(&agents, "hyp1")->lag_us, 700);
	assert_int_equal(find(&agents, "hyp2")->lag_us, 200);
	agents_clear(&agents);
}

static void who_goes_takes_those_behind_it_along(void **state)
{
	struct agents agents = {0};

	agents_round(&agents, 0);
	agents_here(&agents, "rack1", TETHER__ROLE__ROLE_RELAY);
	agents_here(&agents, "hyp1", TETHER__ROLE__ROLE_HOST);
	says(&agents, "rack1", "", TETHER__ROLE__ROLE_RELAY, 2, 1);
	says(&agents, "hyp2", "rack1", TETHER__ROLE__ROLE_HOST, 0, 1);
	agents_gone(&agents, "rack1", TETHER__ROLE__ROLE_RELAY);
	assert_false(find(&agents, "hyp2")->connected);
	assert_true(find(&agents, "hyp1")->connected);
	agents_gone(&agents, "hyp1", TETHER__ROLE__ROLE_HOST);
	assert_false(find(&agents, "hyp1")->connected);
	agents_clear(&agents);
}

static void who_is_away_stays_with_its_last_word(void **state)
{
	struct agents agents = {0};
	const struct agent *agent;

	agents_round(&agents, 0);
	agents_here(&agents, "hyp1", TETHER__ROLE__ROLE_HOST);
	host_says(&agents, "hyp1", 1, 1);
	says(&agents, "vm1", "hyp1", TETHER__ROLE__ROLE_GUEST, 0, 2);
	agents_round(&agents, 10);
	assert_int_equal(agents_know(&agents, "hyp1", TETHER__ROLE__ROLE_HOST), 0);
	assert_int_equal(agents_know(&agents, "hyp9", TETHER__ROLE__ROLE_HOST), 0);
	agent = find(&agents, "hyp1");
	assert_false(agent->connected || agent->answered);
	assert_string_equal(agent->said->version, "0.1");
	assert_false(find(&agents, "vm1")->connected);
	assert_null(find(&agents, "hyp9")->said);
	agents_clear(&agents);
}

static void who_is_behind_another_follows_it(void **state)
{
	static const char *const expected[] = {"hyp1", "vm1", "vm2", "hyp2", "vm3"};
	struct agents agents = {0};
	const struct agent *agent;
	size_t i = 0;

	says(&agents, "vm2", "hyp1", TETHER__ROLE__ROLE_GUEST, 0, 1);
	says(&agents, "vm3", "hyp2", TETHER__ROLE__ROLE_GUEST, 0, 1);
	host_says(&agents, "hyp2", 1, 1);
	says(&agents, "vm1", "hyp1", TETHER__ROLE__ROLE_GUEST, 0, 1);
	host_says(&agents, "hyp1", 2, 1);
	host_says(&agents, "hyp2", 1, 1);
	for (agent = agents.list; agent; agent = agent->next)
		assert_string_equal(agent->name, expected[i++]);
	assert_int_equal(i, 5);
	agents_clear(&agents);
}

static void who_comes_to_another_place_is_not_there_twice(void **state)
{
	struct agents agents = {0};
	size_t count = 0;

	agents_know(&agents, "hyp1", TETHER__ROLE__ROLE_HOST);
	says(&agents, "hyp1", "rack1", TETHER__ROLE__ROLE_HOST, 0, 1);
	agents_know(&agents, "hyp1", TETHER__ROLE__ROLE_HOST);
	assert_string_equal(find(&agents, "hyp1")->behind, "rack1");
	says(&agents, "hyp1", "rack2", TETHER__ROLE__ROLE_HOST, 0, 1);
	/* A guest may be called as a host is. */
	says(&agents, "hyp1", "rack2", TETHER__ROLE__ROLE_GUEST, 0, 1);
	agents_here(&agents, "hyp1", TETHER__ROLE__ROLE_HOST);
	assert_string_equal(find(&agents, "hyp1")->behind, "");
	for (const struct agent *agent = agents.list; agent; agent = agent->next)
		count++;
	assert_int_equal(count, 2);
	agents_clear(&agents);
}

static void what_was_said_is_told(void **state)
{
	Tether__VmReport vm1 = TETHER__VM_REPORT__INIT, vm2 = TETHER__VM_REPORT__INIT;
	Tether__VmReport *vms[] = {&vm1, &vm2};
	Tether__Counter counter = TETHER__COUNTER__INIT, *counters[] = {&counter};
	Tether__Report report = TETHER__REPORT__INIT;
	struct agents agents = {0};
	struct json_object *told;

	vm1.name = (char *)"vm1";
	vm1.processes = 3;
	vm1.protocol = 6;
	vm2.name = (char *)"vm2";
	vm2.processes = 4;
	vm2.protocol = 7;
	counter.name = (char *)"events";
	counter.value = 5;
	report.name = (char *)"hyp1";
	report.role = TETHER__ROLE__ROLE_HOST;
	report.version = (char *)"0.1";
	report.protocol = 6;
	report.epoch = 8;
	report.processes_max = 100;
	report.vms = vms;
	report.n_vms = 2;
	report.counters = counters;
	report.n_counters = 1;
	agents_round(&agents, 100);
	assert_int_equal(agents_take(&agents, &report, 140), 0);
	agents_know(&agents, "hyp2", TETHER__ROLE__ROLE_HOST);
	told = agents_tell(&agents, 9);
	assert_string_equal(json_object_to_json_string_ext(told, JSON_C_TO_STRING_PLAIN),
	        "{\"epoch\":9,\"agents\":["
	        "{\"name\":\"hyp1\",\"role\":\"host\",\"connected\":true,\"answered\":true,"
	        "\"lag_us\":40,"
	        "\"vms\":[{\"name\":\"vm1\",\"processes\":3,\"protocol\":6},"
	        "{\"name\":\"vm2\",\"processes\":4,\"protocol\":7}],"
	        "\"processes\":7,\"version\":\"0.1\",\"protocol\":6,\"epoch\":8,\"open\":0,"
	        "\"agents\":0,"
	        "\"processes_max\":100,"
	        "\"counters\":{\"events\":5}},"
	        "{\"name\":\"hyp2\",\"role\":\"host\",\"connected\":false,\"answered\":false,"
	        "\"vms\":[],\"processes\":0}]}");
	json_object_put(told);
	agents_clear(&agents);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lag_is_from_question_to_answer),
	        cmocka_unit_test(who_goes_takes_those_behind_it_along),
	        cmocka_unit_test(who_is_away_stays_with_its_last_word),
	        cmocka_unit_test(who_is_behind_another_follows_it),
	        cmocka_unit_test(who_comes_to_another_place_is_not_there_twice),
	        cmocka_unit_test(what_was_said_is_told),
	};

	return cmocka_run_group_tests_name("smd_agents", tests, NULL, NULL);
}
