/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two devices of a VM that move together: each is found by its GUID, whatever it is called there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/agent_link.h"
#include "preload/control.h"
#include "preload/connection_devices.h"
#include "preload/connection_manager.h"
#include "preload/device_list.h"
#include "preload/fork_watch.h"

enum { DEVICES = 2 };

static struct here {
	struct ibv_device device;
	__be64 guid;
	bool is_away;
} here[DEVICES];
static struct ibv_context opened_on[DEVICES];

static struct ibv_device **list_get(int *count)
{
	struct ibv_device **list = calloc(DEVICES + 1, sizeof(*list));
	int n = 0;

	for (int i = 0; i < DEVICES; i++)
		if (!here[i].is_away)
			list[n++] = &here[i].device;
	if (count)
		*count = n;
	return list;
}

static void list_free(struct ibv_device **list)
{
	free(list);
}

static __be64 guid_get(struct ibv_device *device)
{
	return ((struct here *)device)->guid;
}

static struct ibv_context *device_open_below(struct ibv_device *device)
{
	struct ibv_context *context = &opened_on[(struct here *)device - here];

	context->device = device;
	return context;
}

static int device_close_below(struct ibv_context *context)
{
	return 0;
}

const struct real_verbs *real_verbs(void)
{
	static const struct real_verbs verbs = {.ibv_get_device_list = list_get,
	        .ibv_free_device_list = list_free,
	        .ibv_get_device_guid = guid_get,
	        .ibv_open_device = device_open_below,
	        .ibv_close_device = device_close_below};

	return &verbs;
}

/* Of other rooms, which have no say here. */
void agent_link_start(void)
{
}

__thread unsigned connection_depth;

struct ibv_device *connection_device_shown(struct device *device)
{
	return &device->shown;
}

bool control_await_devices(void)
{
	return false;
}

void fork_watch_begin(void)
{
}

void fork_watch_end(void)
{
}

static void put(unsigned slot, const char *name, uint64_t guid)
{
	strcpy(here[slot].device.name, name);
	here[slot].guid = guid;
	here[slot].is_away = false;
}

static struct device *application_opens(uint64_t guid, struct ibv_context **context)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct device *device = NULL;

	for (struct ibv_device **d = list; *d; d++)
		if (ibv_get_device_guid(*d) == guid)
			device = device_of(*d);
	ibv_free_device_list(list);
	assert_non_null(device);
	assert_int_equal(device_open(device, context), 0);
	device_is_used(device, true);
	return device;
}

struct pair {
	struct device *one, *other;
	struct ibv_context *of_one, *of_other;
};

/* Both are open, then both leave. */
static struct pair both_leave(uint64_t guid_of_one, uint64_t guid_of_other)
{
	struct pair p;

	put(0, "mlx5_0", guid_of_one);
	put(1, "mlx5_1", guid_of_other);
	p.one = application_opens(guid_of_one, &p.of_one);
	p.other = application_opens(guid_of_other, &p.of_other);
	device_close(p.one, p.of_one);
	device_close(p.other, p.of_other);
	here[0].is_away = here[1].is_away = true;
	return p;
}

static void both_end(struct pair *p)
{
	device_is_used(p->one, false);
	device_is_used(p->other, false);
}

static void each_is_opened_by_its_guid_though_they_have_changed_names(void **state)
{
	struct pair p = both_leave(0x11, 0x12);

	put(0, "mlx5_0", 0x12);
	put(1, "mlx5_1", 0x11);
	assert_int_equal(device_open_successor(p.one, &p.of_one), 0);
	assert_int_equal(guid_get(p.of_one->device), 0x11);
	assert_int_equal(device_open_successor(p.other, &p.of_other), 0);
	assert_int_equal(guid_get(p.of_other->device), 0x12);
	device_close(p.one, p.of_one);
	device_close(p.other, p.of_other);
	assert_int_equal(device_open(p.other, &p.of_other), 0);
	assert_int_equal(guid_get(p.of_other->device), 0x12);
	device_close(p.other, p.of_other);
	both_end(&p);
}

static void the_others_is_not_taken_while_its_own_is_not_there_yet(void **state)
{
	struct pair p = both_leave(0x21, 0x22);

	/* Called as the one was. */
	put(0, "mlx5_0", 0x22);
	assert_int_equal(device_open(p.one, &p.of_one), -ENODEV);
	assert_int_equal(device_open_successor(p.one, &p.of_one), -ENODEV);
	assert_int_equal(device_open_successor(p.other, &p.of_other), 0);
	assert_int_equal(device_open_successor(p.one, &p.of_one), -ENODEV);
	put(1, "mlx5_7", 0x21);
	assert_int_equal(device_open_successor(p.one, &p.of_one), 0);
	assert_int_equal(guid_get(p.of_one->device), 0x21);
	device_close(p.one, p.of_one);
	device_close(p.other, p.of_other);
	both_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_is_opened_by_its_guid_though_they_have_changed_names),
	        cmocka_unit_test(the_others_is_not_taken_while_its_own_is_not_there_yet),
	};

	return cmocka_run_group_tests_name("shim_device_names", tests, NULL, NULL);
}
