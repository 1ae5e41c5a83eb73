/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the driver that speaks QMP reads: devices, settings, lines, and what an order makes of each
 * state in which it can find a QEMU. */
#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/qmp/qmp_device.h"
#include "notifier/qmp/qmp_lines.h"
#include "notifier/qmp/qmp_message.h"
#include "notifier/qmp/qmp_order.h"
#include "notifier/qmp/qmp_settings.h"

static void device_is_read_as_qemu_reads_it(void **state)
{
	static const struct {
		const char *text, *json; /* NULL: it is none */
	} rows[] = {
	        {"e1000", "{\"id\":\"x\",\"driver\":\"e1000\"}"},
	        {"a,b=c,d=", "{\"id\":\"x\",\"driver\":\"a\",\"b\":\"c\",\"d\":\"\"}"},
	        {"a,n=12,m=0x12,l=999999999999999999999",
	                "{\"id\":\"x\",\"driver\":\"a\",\"n\":12,\"m\":\"0x12\","
	                "\"l\":\"999999999999999999999\"}"},
	        {"a,b=on,c=off,d=\"on\",e=\"7\"", "{\"id\":\"x\",\"driver\":\"a\",\"b\":true,\"c\":"
	                                          "false,\"d\":\"on\",\"e\":\"7\"}"},
	        {"a,b=c,,d,e=f=g", "{\"id\":\"x\",\"driver\":\"a\",\"b\":\"c,d\",\"e\":\"f=g\"}"},
	        {"", NULL},
	        {"a,", NULL},
	        {"a,b", NULL},
	        {"a,=b", NULL},
	        {"b=c", NULL},
	        {"a,b=1,b=2", NULL},
	        {"a,id=y", NULL},
	        {"a,driver=y", NULL},
	        {"a b", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_object *json = NULL;
		int err = qmp_device_read(rows[i].text, "x", &json);

		print_message("# %s\n", rows[i].text);
		assert_int_equal(err, rows[i].json ? 0 : -EINVAL);
		if (rows[i].json)
			assert_string_equal(
			        json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN),
			        rows[i].json);
		json_object_put(json);
	}
}

static void pattern_has_the_vm_and_the_host(void **state)
{
	CLEANUP_FREE char *text = qmp_pattern_fill("tcp:%h:1%%%v", "vm1", "hyp2");

	assert_string_equal(text, "tcp:hyp2:1%vm1");
}

static int settings_from(const char *text, struct qmp_settings **settings, char *error, size_t size)
{
	CLEANUP_CLOSE int file = memfd_create("qmp.conf", MFD_CLOEXEC);
	char path[64];
	const char *said;
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	err = qmp_settings_read(path, settings, error, size);
	/* Without the path, which is another each time. */
	said = strstr(error, ": ") ? strchr(error, ':') : error;
	memmove(error, said, strlen(said) + 1);
	return err;
}

static void settings_say_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
	        {"vms = a\nqmp = /x\n", ""},
	        {"[vm a]\nqmp = /x\n", ""},
	        {"vms = a\n", ": \"qmp\" is not said of VM a"},
	        {"vms = a/b\n",
	                ":1: bad value for \"vms\": it has to be outside of sections, names "
	                "of VMs"},
	        {"[slot a]\nmax_qp = 1\n", ": \"device\" is not said of slot a"},
	        {"[slot a]\ndevice = x\nmax_qp = y\n",
	                ":3: bad value for \"max_qp\": it has to be in [slot NAME], a number"},
	        {"max_qp = 1\n", ":1: bad value for \"max_qp\": it has to be in [slot NAME], a "
	                         "number"},
	        {"[slot a:b]\ndevice = x\n",
	                ":2: bad section \"slot a:b\": it has to be [vm NAME] or [slot NAME]"},
	        {"[slot a]\ndevice = x\n[slot b]\ndevice = x\nid = tether-a\n",
	                ": slots a and b have the same id"},
	        {"after_move = stay\n", ":1: bad value for \"after_move\": it has to be outside of "
	                                "sections, quit or keep"},
	        {"incoming = tcp:%x:1\n",
	                ":1: bad value for \"incoming\": it has to be outside of sections or in "
	                "[vm "
	                "NAME], unix:/PATH or tcp:ADDRESS:PORT; %v is the VM, %h the host"},
	        {"[vm a]\nqmp = /"
	         "0123456789012345678901234567890123456789012345678901234567890123456789"
	         "01234567890123456789012345678901234567\n",
	                ": \"qmp\" of VM a is too long for a socket's path"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct qmp_settings *settings = NULL;
		char error[256] = "";
		int err = settings_from(rows[i].text, &settings, error, sizeof(error));

		print_message("# %s\n", rows[i].text);
		assert_string_equal(error, rows[i].error);
		assert_int_equal(!err, !*rows[i].error);
		qmp_settings_drop(settings);
	}
}

static void lines_come_whole_and_are_bounded(void **state)
{
	static const char said[] = {'a', 'b', '\r', '\n', '\n', 'c'};
	struct qmp_lines lines = {0};
	size_t space, count;
	int err = 0;
	char *to = qmp_lines_space(&lines, &space, &err);

	memcpy(to, said, sizeof(said));
	qmp_lines_read(&lines, sizeof(said));
	assert_memory_equal(qmp_lines_next(&lines, &count), "ab", 2);
	assert_int_equal(count, 2);
	assert_non_null(qmp_lines_next(&lines, &count));
	assert_int_equal(count, 0);
	assert_null(qmp_lines_next(&lines, &count));
	to = qmp_lines_space(&lines, &space, &err);
	*to = '\n';
	qmp_lines_read(&lines, 1);
	assert_memory_equal(qmp_lines_next(&lines, &count), "c", 1);
	assert_int_equal(count, 1);
	while ((to = qmp_lines_space(&lines, &space, &err))) {
		memset(to, 'x', space);
		qmp_lines_read(&lines, space);
		assert_null(qmp_lines_next(&lines, &count));
	}
	assert_int_equal(err, -EMSGSIZE);
	assert_int_equal(lines.end, QMP_LINE_MOST);
	qmp_lines_clear(&lines);
}

static void who_says_too_much_in_all_is_not_heard(void **state)
{
	struct qmp_lines lines = {0};
	size_t space, count;
	uint64_t said = 0;
	int err = 0;
	char *to;

	while ((to = qmp_lines_space(&lines, &space, &err))) {
		memset(to, '\n', space);
		qmp_lines_read(&lines, space);
		said += space;
		while (qmp_lines_next(&lines, &count))
			;
	}
	assert_int_equal(err, -EMSGSIZE);
	assert_in_range(said, QMP_SAID_MOST, QMP_SAID_MOST + QMP_LINE_MOST);
	qmp_lines_clear(&lines);
}

static void reply(struct qmp_order *order, const char *json)
{
	struct qmp_message message;

	assert_int_equal(qmp_message_read(json, strlen(json), &message), 0);
	qmp_order_replied(order, &message);
	qmp_message_clear(&message);
}

/* What is done first where QEMU is found so: "done", "failed", "wait" or a command. */
static const char *first(struct qmp_order_request *request, const char *migration,
        const char *status, bool has_device)
{
	struct qmp_order order;
	struct qmp_next next;
	char json[128];
	const char *is = NULL;

	qmp_order_begin(&order, request);
	while (!is) {
		qmp_order_next(&order, 1, &next);
		json_object_put(next.arguments);
		if (next.kind == QMP_END)
			is = order.err ? "failed" : "done";
		else if (next.kind == QMP_WAIT)
			is = "wait";
		else if (next.command == QMP_QUERY_MIGRATE)
			snprintf(json, sizeof(json), "{\"return\":{\"status\":\"%s\"}}", migration);
		else if (next.command == QMP_QUERY_STATUS)
			snprintf(json, sizeof(json), "{\"return\":{\"status\":\"%s\"}}", status);
		else if (next.command == QMP_QOM_LIST)
			snprintf(json, sizeof(json), "{\"return\":[{\"name\":\"%s\"}]}",
			        has_device ? "tether-vf0" : "disk");
		else
			is = qmp_command_name(next.command);
		if (!is)
			reply(&order, json);
	}
	qmp_order_clear(&order);
	return is;
}

enum { DETACH = 2, MOVE = 3, ATTACH = 5, GIVE_BACK = 6 };

/* Each order is given again after it was half done, to whatever an agent that died has left. */
static void order_does_what_is_left_in_each_state(void **state)
{
	static const struct {
		const char *migration, *status;
		bool has_device;
		const char *detach, *move, *attach, *give_back;
	} rows[] = {
	        {"", "running", true, "device_del", "failed", "done", "done"},
	        {"", "running", false, "done", "migrate-set-capabilities", "device_add",
	                "device_add"},
	        {"", "paused", false, "done", "migrate-set-capabilities", "cont", "cont"},
	        {"", "prelaunch", true, "device_del", "failed", "cont", "cont"},
	        {"active", "inmigrate", false, "done", "failed", "wait", "failed"},
	        {"active", "running", false, "done", "wait", "migrate_cancel", "migrate_cancel"},
	        {"active", "running", true, "migrate_cancel", "wait", "migrate_cancel",
	                "migrate_cancel"},
	        {"pre-switchover", "finish-migrate", false, "done", "migrate-continue",
	                "migrate_cancel", "migrate_cancel"},
	        {"cancelling", "running", false, "done", "wait", "wait", "wait"},
	        {"completed", "finish-migrate", false, "done", "quit", "failed", "failed"},
	        {"completed", "postmigrate", false, "done", "quit", "failed", "failed"},
	        {"completed", "running", true, "device_del", "failed", "done", "done"},
	        {"completed", "running", false, "done", "migrate-set-capabilities", "device_add",
	                "device_add"},
	        {"completed", "paused", false, "done", "migrate-set-capabilities", "cont", "cont"},
	        {"failed", "postmigrate", false, "done", "migrate-set-capabilities", "cont",
	                "cont"},
	        {"cancelled", "finish-migrate", false, "done", "migrate-set-capabilities", "cont",
	                "cont"},
	        {"failed", "running", false, "done", "migrate-set-capabilities", "device_add",
	                "device_add"},
	        {"", "internal-error", false, "done", "migrate-set-capabilities", "device_add",
	                "device_add"},
	};
	struct qmp_settings *settings = NULL;
	char error[256] = "";
	struct qmp_order_request request = {.peer_host = "hyp2"};

	assert_int_equal(settings_from("[vm vm1]\nqmp = /x\nincoming = unix:/y\n[slot vf0]\n"
	                               "device = e1000\n",
	                         &settings, error, sizeof(error)),
	        0);
	request.settings = settings;
	request.vm = &settings->vms[0];
	request.slot = &settings->slots[0];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *const wanted[] = {[DETACH] = rows[i].detach,
		        [MOVE] = rows[i].move,
		        [ATTACH] = rows[i].attach,
		        [GIVE_BACK] = rows[i].give_back};

		for (size_t action = 0; action < ARRAY_SIZE(wanted); action++) {
			if (!wanted[action])
				continue;
			request.action = (Tether__HostAction)action;
			print_message("# %s %s %d: %zu\n", rows[i].migration, rows[i].status,
			        rows[i].has_device, action);
			assert_string_equal(first(&request, rows[i].migration, rows[i].status,
			                            rows[i].has_device),
			        wanted[action]);
		}
	}
	qmp_settings_drop(settings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(device_is_read_as_qemu_reads_it),
	        cmocka_unit_test(pattern_has_the_vm_and_the_host),
	        cmocka_unit_test(settings_say_what_is_wrong),
	        cmocka_unit_test(lines_come_whole_and_are_bounded),
	        cmocka_unit_test(who_says_too_much_in_all_is_not_heard),
	        cmocka_unit_test(order_does_what_is_left_in_each_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
