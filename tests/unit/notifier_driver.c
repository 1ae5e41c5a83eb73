/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The exec driver with drivers of shell, and what an inventory may be. */
#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/driver/driver.h"
#include "notifier/driver/host_inventory.h"

enum { DEADLINE_MS = 20000 };

struct world {
	struct event_base *base;
	struct driver *driver;
	char path[64];
	unsigned done;
	int err, status;
	char output[5000], text[256];
	uint32_t copy_ms;
	size_t vms;
};

static void driver_write(struct world *world, const char *script)
{
	FILE *file = fopen(world->path, "w");

	fprintf(file, "#!/bin/sh\n%s\n", script);
	fchmod(fileno(file), 0755);
	fclose(file);
}

static int world_open(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char address[80];
	int fd;

	strcpy(world->path, "/tmp/tether-driver.XXXXXX");
	fd = mkstemp(world->path);
	close(fd);
	world->base = event_base_new();
	snprintf(address, sizeof(address), "exec:%s", world->path);
	assert_int_equal(driver_open(world->base, address, "hyp1", -1, &world->driver), 0);
	*state = world;
	return 0;
}

static int world_close(void **state)
{
	struct world *world = *state;

	driver_close(world->driver);
	event_base_free(world->base);
	unlink(world->path);
	free(world);
	return 0;
}

static void on_done(void *context, const struct driver_result *result)
{
	struct world *world = context;

	world->done++;
	world->err = result->err;
	world->status = result->exit_status;
	world->copy_ms = result->copy_ms;
	world->vms = result->inventory ? result->inventory->vms_count : 0;
	snprintf(world->output, sizeof(world->output), "%s", result->output);
	snprintf(world->text, sizeof(world->text), "%s", result->text);
	event_base_loopbreak(world->base);
}

static void start(struct world *world, Tether__HostAction action, unsigned deadline_ms)
{
	Tether__HostOrder order = TETHER__HOST_ORDER__INIT;
	struct driver_request request = {.order = &order, .deadline_ms = deadline_ms};

	order.action = action;
	order.vm = (char *)"vm1";
	order.slot = (char *)"vf 1";
	order.node_guid = 0x1234;
	request.socket = "/run/vm1.sock";
	assert_non_null(world->driver->ops->start(world->driver, &request, on_done, world));
}

static void run(struct world *world, Tether__HostAction action, unsigned deadline_ms)
{
	start(world, action, deadline_ms);
	event_base_dispatch(world->base);
	assert_int_equal(world->done, 1);
	world->done = 0;
}

#define DETACH    TETHER__HOST_ACTION__HOST_DETACH
#define INVENTORY TETHER__HOST_ACTION__HOST_NOTHING

static void driver_is_told_host_verb_and_keys(void **state)
{
	struct world *world = *state;

	driver_write(world, "printf '{\"said\": \"%s|' \"$TETHER_HOST\"\n"
	                    "printf '%s|' \"$@\"; printf '\"}'\n"
	                    "test ! -t 0 && read x && exit 9\nexit 0");
	run(world, DETACH, DEADLINE_MS);
	assert_int_equal(world->err, 0);
	assert_string_equal(world->output,
	        "{\"said\": \"hyp1|detach|vm=vm1|slot=vf 1|node_guid=0x0000000000001234|"
	        "socket=/run/vm1.sock|timeout_ms=20000|\"}");
}

static void result_says_how_it_ended(void **state)
{
	static const struct {
		const char *what, *script;
		Tether__HostAction action;
		int err, status;
		const char *text;
	} rows[] = {
	        {"done, nothing said", "exit 0", DETACH, 0, 0, ""},
	        {"done, with spaces", "echo ' {} '", DETACH, 0, 0, ""},
	        {"failed, last line", "echo a >&2; echo b >&2; echo >&2; exit 4", DETACH,
	                -EREMOTEIO, 4, "b"},
	        {"failed without a word", "exit 4", DETACH, -EREMOTEIO, 4, "exit status 4"},
	        {"killed by a signal", "kill -TERM $$", DETACH, -EREMOTEIO, 143,
	                "the driver was ended by signal 15"},
	        {"no JSON", "echo done", DETACH, -EBADMSG, 0, "its output is not a JSON object"},
	        {"half of it", "printf '{\"a\":'", DETACH, -EBADMSG, 0,
	                "its output is not a JSON object"},
	        {"two objects", "echo '{} {}'", DETACH, -EBADMSG, 0,
	                "its output is not a JSON object"},
	        {"a list", "echo '[]'", DETACH, -EBADMSG, 0, "its output is not a JSON object"},
	        {"too deep", "echo '{\"a\":[[[[[[[[[1]]]]]]]]]}'", DETACH, -EBADMSG, 0,
	                "its output is not a JSON object"},
	        {"no inventory", "exit 0", INVENTORY, -EBADMSG, 0,
	                "its output is not a JSON object"},
	        {"a bad inventory", "echo '{\"vms\": [{\"name\": 3}]}'", INVENTORY, -EBADMSG, 0,
	                "vms[0].name is not a string"},
	        {"control characters", "printf 'a\\033[31mb' >&2; exit 1", DETACH, -EREMOTEIO, 1,
	                "a [31mb"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].what);
		driver_write(world, rows[i].script);
		run(world, rows[i].action, DEADLINE_MS);
		assert_int_equal(world->err, rows[i].err);
		assert_int_equal(world->status, rows[i].status);
		assert_string_equal(world->text, rows[i].text);
	}
}

static void what_it_says_is_taken(void **state)
{
	struct world *world = *state;

	driver_write(
	        world, "echo '{\"copy_ms\": 17, \"vms\": [{\"name\": \"a\"}, {\"name\": \"b\"}]}'");
	run(world, INVENTORY, DEADLINE_MS);
	assert_int_equal(world->err, 0);
	assert_int_equal(world->copy_ms, 17);
	assert_int_equal(world->vms, 2);
}

static void driver_that_is_not_there_fails(void **state)
{
	struct world *world = *state;

	unlink(world->path);
	run(world, DETACH, DEADLINE_MS);
	assert_int_equal(world->err, -EREMOTEIO);
	assert_int_equal(world->status, 127);
	assert_string_equal(world->text, "the driver cannot be run");
}

/* The driver's own child says its pid on standard output, and holds it open. */
static void deadline_ends_the_whole_process_group(void **state)
{
	struct world *world = *state;
	pid_t pid;

	driver_write(world, "sleep 600 & echo $!; wait");
	run(world, DETACH, 300);
	assert_int_equal(world->err, -ETIMEDOUT);
	assert_string_equal(world->text, "the driver was killed after 300 ms");
	pid = strtol(world->output, NULL, 10);
	assert_true(pid > 0);
	for (int i = 0; i < 2000 && !kill(pid, 0); i++) {
		char path[64], stat[256] = "";
		FILE *file;

		/* Where nobody reaps orphans it stays as a zombie. */
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		file = fopen(path, "r");
		if (file && fgets(stat, sizeof(stat), file) && strstr(stat, ") Z "))
			pid = -1;
		if (file)
			fclose(file);
		if (pid < 0)
			return;
		usleep(5000);
	}
	assert_int_not_equal(kill(pid, 0), 0);
}

static void child_left_behind_is_not_waited_for(void **state)
{
	struct world *world = *state;

	driver_write(world, "sleep 5 & echo '{}'");
	run(world, DETACH, 4000);
	assert_int_equal(world->err, 0);
}

static void endless_output_is_cut_off(void **state)
{
	struct world *world = *state;

	driver_write(world, "cat /dev/zero");
	run(world, DETACH, DEADLINE_MS);
	assert_int_equal(world->err, -EBADMSG);
	driver_write(
	        world, "yes word >&2 & sleep 0.05; kill $!; wait; echo >&2; echo end >&2; exit 1");
	run(world, DETACH, DEADLINE_MS);
	assert_string_equal(world->text, "end");
}

static void drivers_run_beside_each_other(void **state)
{
	struct world *world = *state;

	driver_write(world, "sleep 0.05");
	for (int i = 0; i < 8; i++)
		start(world, DETACH, DEADLINE_MS);
	while (world->done < 8)
		event_base_loop(world->base, EVLOOP_ONCE);
	assert_int_equal(world->err, 0);
}

static void closing_kills_what_is_under_way(void **state)
{
	struct world *world = *state;

	driver_write(world, "sleep 600");
	start(world, DETACH, DEADLINE_MS);
	driver_close(world->driver);
	world->driver = NULL;
	event_base_loop(world->base, EVLOOP_NONBLOCK);
	assert_int_equal(world->done, 0);
}

static void unknown_kind_of_driver_is_refused(void **state)
{
	struct world *world = *state;
	struct driver *driver;

	assert_int_equal(driver_open(world->base, "ssh:/x", "h", -1, &driver), -EPROTONOSUPPORT);
	assert_int_equal(driver_open(world->base, "exec:", "h", -1, &driver), -EPROTONOSUPPORT);
}

static void inventory_is_read_strictly(void **state)
{
	static const struct {
		const char *json, *error;
	} rows[] = {
	        {"{}", NULL},
	        {"{\"slots\": [{\"name\": \"vf0\", \"vm\": null, \"node_guid\": "
	         "\"0xffffffffffffffff\", "
	         "\"switch_port\": 3, \"lid\": 7, \"gid\": \"000102030405060708090a0b0c0d0e0f\", "
	         "\"attributes\": {\"max_qp\": 7}}]}",
	                NULL},
	        {"{\"vms\": {}}", "vms is not a list"},
	        {"{\"vms\": [7]}", "vms[0].name is not a string"},
	        {"{\"vms\": [{\"name\": \"a\"}, {\"name\": \"../b\"}]}",
	                "vms[1].name is not fit for a file"},
	        {"{\"vms\": [{\"name\": \"\"}]}", "vms[0].name is not fit for a file"},
	        {"{\"vms\": [{\"name\": \"a\\u0000b\"}]}", "vms[0].name has a zero in it"},
	        {"{\"vms\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}",
	                "vms[1].name is another's, too"},
	        {"{\"slots\": [{}]}", "slots[0].name is not a string"},
	        {"{\"slots\": [{\"name\": \"\"}]}", "slots[0].name is empty"},
	        {"{\"slots\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"a\"}]}",
	                "slots[2].name is another's, too"},
	        {"{\"slots\": [{\"name\": \"a\", \"node_guid\": \"12z\"}]}",
	                "slots[0].node_guid is out of range"},
	        {"{\"slots\": [{\"name\": \"a\", \"node_guid\": \"-1\"}]}",
	                "slots[0].node_guid is out of range"},
	        {"{\"slots\": [{\"name\": \"a\", \"node_guid\": true}]}",
	                "slots[0].node_guid is not a number"},
	        {"{\"slots\": [{\"name\": \"a\", \"switch_port\": 256}]}",
	                "slots[0].switch_port is out of range"},
	        {"{\"slots\": [{\"name\": \"a\", \"gid\": \"00\"}]}",
	                "slots[0].gid is not 32 hexadecimal digits"},
	        {"{\"slots\": [{\"name\": \"a\", \"dynamic\": \"false\"}]}",
	                "slots[0].dynamic is neither true nor false"},
	        {"{\"slots\": [{\"name\": \"a\", \"shared_port\": 0}]}",
	                "slots[0].shared_port is neither true nor false"},
	        {"{\"slots\": [{\"name\": \"a\", \"attributes\": 3}]}",
	                "slots[0].attributes is not an object"},
	        {"[]", "not a JSON object"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_object *json = json_tokener_parse(rows[i].json);
		struct host_inventory inventory = {0};
		char error[128] = "";

		assert_non_null(json);
		assert_int_equal(host_inventory_decode(json, &inventory, error, sizeof(error)),
		        rows[i].error ? -EBADMSG : 0);
		assert_string_equal(error, rows[i].error ? rows[i].error : "");
		host_inventory_clear(&inventory);
		json_object_put(json);
	}
}

static void a_slot_says_whether_it_is_dynamic(void **state)
{
	struct json_object *json = json_tokener_parse("{\"slots\": [{\"name\": \"a\"}, "
	                                              "{\"name\": \"b\", \"dynamic\": true}]}");
	struct host_inventory inventory = {0};
	char error[128];

	assert_int_equal(host_inventory_decode(json, &inventory, error, sizeof(error)), 0);
	assert_false(host_inventory_slot(&inventory, "a")->dynamic);
	assert_true(host_inventory_slot(&inventory, "b")->dynamic);
	host_inventory_clear(&inventory);
	json_object_put(json);
}

static void bad_inventory_changes_nothing(void **state)
{
	struct json_object *bad = json_tokener_parse("{\"vms\": [7]}");
	struct host_inventory inventory = {0};
	char error[128];

	assert_int_equal(host_inventory_vm_add(&inventory, "vm1", "/s"), 0);
	assert_int_equal(host_inventory_decode(bad, &inventory, error, sizeof(error)), -EBADMSG);
	assert_string_equal(host_inventory_vm(&inventory, "vm1")->socket, "/s");
	host_inventory_clear(&inventory);
	json_object_put(bad);
}

static void inventory_follows_orders(void **state)
{
	struct json_object *json = json_tokener_parse(
	        "{\"vms\": [{\"name\": \"vm1\", \"slot\": \"vf0\"}], "
	        "\"slots\": [{\"name\": \"vf0\", \"vm\": \"vm1\"}, {\"name\": \"vf1\"}]}");
	struct host_inventory inventory = {0};
	char error[128];

	assert_int_equal(host_inventory_decode(json, &inventory, error, sizeof(error)), 0);
	assert_int_equal(host_inventory_detached(&inventory, "vm1", "vf0"), 0);
	assert_string_equal(host_inventory_vm(&inventory, "vm1")->slot, "");
	assert_string_equal(host_inventory_slot(&inventory, "vf0")->vm, "");
	assert_int_equal(host_inventory_attached(&inventory, "vm1", "vf1"), 0);
	assert_string_equal(host_inventory_vm(&inventory, "vm1")->slot, "vf1");
	assert_string_equal(host_inventory_slot(&inventory, "vf1")->vm, "vm1");
	host_inventory_guids(&inventory, "vf0", 1, 2);
	assert_int_equal(host_inventory_slot(&inventory, "vf0")->port_guid, 2);
	host_inventory_vm_remove(&inventory, "vm1");
	assert_null(host_inventory_vm(&inventory, "vm1"));
	host_inventory_clear(&inventory);
	json_object_put(json);
}

static struct host_inventory inventory_of(const char *text)
{
	struct json_object *json = json_tokener_parse(text);
	struct host_inventory inventory = {0};
	char error[128];

	assert_int_equal(host_inventory_decode(json, &inventory, error, sizeof(error)), 0);
	json_object_put(json);
	return inventory;
}

/* a: under way, and in both; b: comes by it; c: goes by it; d: has ended by itself; e: is new. */
static void what_an_order_is_at_stays_as_it_is_known(void **state)
{
	static const char *const orders[][2] = {{"a", ""}, {"b", "vf1"}, {"c", ""}, {"", "vf4"}};
	struct host_inventory known = inventory_of(
	        "{\"vms\": [{\"name\": \"a\", \"slot\": \"vf0\"}, {\"name\": \"b\"}, "
	        "{\"name\": \"d\"}], "
	        "\"slots\": [{\"name\": \"vf0\", \"vm\": \"a\"}, "
	        "{\"name\": \"vf1\", \"port_guid\": 1}, {\"name\": \"vf2\"}, "
	        "{\"name\": \"vf3\", \"port_guid\": 3}, {\"name\": \"vf4\", \"port_guid\": 4}]}");
	struct host_inventory fresh = inventory_of(
	        "{\"vms\": [{\"name\": \"e\"}, {\"name\": \"c\", \"slot\": \"vf2\"}, "
	        "{\"name\": \"a\"}], "
	        "\"slots\": [{\"name\": \"vf0\"}, {\"name\": \"vf1\", \"vm\": \"b\", "
	        "\"port_guid\": 9}, {\"name\": \"vf2\", \"vm\": \"c\"}, "
	        "{\"name\": \"vf3\", \"port_guid\": 5}, {\"name\": \"vf4\", \"port_guid\": 6}]}");

	/* Several orders may be at the same. */
	for (size_t i = 0; i < 2 * ARRAY_SIZE(orders); i++)
		assert_int_equal(
		        host_inventory_keep(&fresh, &known, orders[i / 2][0], orders[i / 2][1]), 0);
	assert_int_equal(fresh.vms_count, 3);
	assert_non_null(host_inventory_vm(&fresh, "e"));
	assert_string_equal(host_inventory_vm(&fresh, "a")->slot, "vf0");
	assert_string_equal(host_inventory_vm(&fresh, "b")->slot, "");
	assert_int_equal(fresh.slots_count, 5);
	assert_string_equal(host_inventory_slot(&fresh, "vf0")->vm, "a");
	assert_string_equal(host_inventory_slot(&fresh, "vf1")->vm, "");
	assert_int_equal(host_inventory_slot(&fresh, "vf1")->port_guid, 1);
	assert_string_equal(host_inventory_slot(&fresh, "vf2")->vm, "");
	assert_int_equal(host_inventory_slot(&fresh, "vf3")->port_guid, 5);
	assert_int_equal(host_inventory_slot(&fresh, "vf4")->port_guid, 4);
	host_inventory_clear(&fresh);
	host_inventory_clear(&known);
}

static void of_several_vfs_the_vm_names_one_that_it_has(void **state)
{
	struct json_object *json =
	        json_tokener_parse("{\"vms\": [{\"name\": \"vm1\", \"slot\": \"vf0\"}], "
	                           "\"slots\": [{\"name\": \"vf0\", \"vm\": \"vm1\"}, "
	                           "{\"name\": \"vf1\", \"vm\": \"vm1\"}]}");
	struct host_inventory inventory = {0};
	char error[128];

	assert_int_equal(host_inventory_decode(json, &inventory, error, sizeof(error)), 0);
	assert_int_equal(host_inventory_detached(&inventory, "vm1", "vf0"), 0);
	assert_string_equal(host_inventory_vm(&inventory, "vm1")->slot, "vf1");
	assert_string_equal(host_inventory_slot(&inventory, "vf0")->vm, "");
	assert_string_equal(host_inventory_slot(&inventory, "vf1")->vm, "vm1");
	assert_int_equal(host_inventory_detached(&inventory, "vm1", "vf1"), 0);
	assert_string_equal(host_inventory_vm(&inventory, "vm1")->slot, "");
	assert_int_equal(host_inventory_attached(&inventory, "vm1", "vf1"), 0);
	assert_int_equal(host_inventory_attached(&inventory, "vm1", "vf0"), 0);
	assert_string_equal(host_inventory_vm(&inventory, "vm1")->slot, "vf1");
	assert_string_equal(host_inventory_slot(&inventory, "vf0")->vm, "vm1");
	assert_int_equal(host_inventory_detached(&inventory, "vm1", ""), 0);
	assert_string_equal(host_inventory_vm(&inventory, "vm1")->slot, "");
	host_inventory_clear(&inventory);
	json_object_put(json);
}

static void every_attribute_is_compared(void **state)
{
	Tether__Attributes has = TETHER__ATTRIBUTES__INIT, wanted = TETHER__ATTRIBUTES__INIT;
	const ProtobufCMessageDescriptor *type = has.base.descriptor;

	for (unsigned i = 0; i < type->n_fields; i++) {
		uint32_t *field = (uint32_t *)((char *)&wanted + type->fields[i].offset);

		assert_null(attributes_lacking(&has, &wanted));
		*field = 4;
		assert_string_equal(attributes_lacking(&has, &wanted), type->fields[i].name);
		*(uint32_t *)((char *)&has + type->fields[i].offset) = 4;
	}
	has.device_cap_flags = 2;
	assert_string_equal(attributes_lacking(&has, &wanted), "device_cap_flags");
}

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
	const struct CMUnitTest tests[] = {
	        WORLD_TEST(driver_is_told_host_verb_and_keys),
	        WORLD_TEST(result_says_how_it_ended),
	        WORLD_TEST(what_it_says_is_taken),
	        WORLD_TEST(driver_that_is_not_there_fails),
	        WORLD_TEST(deadline_ends_the_whole_process_group),
	        WORLD_TEST(child_left_behind_is_not_waited_for),
	        WORLD_TEST(endless_output_is_cut_off),
	        WORLD_TEST(drivers_run_beside_each_other),
	        WORLD_TEST(closing_kills_what_is_under_way),
	        WORLD_TEST(unknown_kind_of_driver_is_refused),
	        cmocka_unit_test(inventory_is_read_strictly),
	        cmocka_unit_test(a_slot_says_whether_it_is_dynamic),
	        cmocka_unit_test(bad_inventory_changes_nothing),
	        cmocka_unit_test(inventory_follows_orders),
	        cmocka_unit_test(what_an_order_is_at_stays_as_it_is_known),
	        cmocka_unit_test(of_several_vfs_the_vm_names_one_that_it_has),
	        cmocka_unit_test(every_attribute_is_compared),
	};

	return cmocka_run_group_tests_name("notifier_driver", tests, NULL, NULL);
}
