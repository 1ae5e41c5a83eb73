/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Where the other end of a connection is, and by which GIDs an Ethernet port is known. */
#include "preload/remote_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "notifier/wire/gid_name.h"

enum { LID = 7, LID_NOW = 9, QPN = 0x40 };

static const union ibv_gid home = {.raw = {0xfe, 0x80, [15] = 1}};
static const union ibv_gid now = {.raw = {0xfe, 0x80, [15] = 2}};
static const union ibv_gid nobodys;

static struct context context;

static struct ibv_ah_attr address_over(int link_layer)
{
	context.ports[0].attr.link_layer = (uint8_t)link_layer;
	return (struct ibv_ah_attr){
	        .dlid = LID, .port_num = 1, .is_global = 1, .grh = {.dgid = home}};
}

static void over_infiniband_it_is_its_lid(void **state)
{
	struct ibv_ah_attr address = address_over(IBV_LINK_LAYER_INFINIBAND);
	struct remote to = remote_at(&context, &address, QPN);

	assert_int_equal(to.lid, LID);
	assert_int_equal(remote_goes_to(&to, LID_NOW, NULL), 0);
	remote_address(&to, &address);
	assert_int_equal(address.dlid, LID_NOW);
	assert_memory_equal(&address.grh.dgid, &home, sizeof(home));
}

static void over_ethernet_it_is_the_name_of_its_gid(void **state)
{
	struct ibv_ah_attr address = address_over(IBV_LINK_LAYER_ETHERNET);
	struct remote to = remote_at(&context, &address, QPN);
	Tether__GidRows gids = TETHER__GID_ROWS__INIT;

	assert_int_equal(to.lid, gid_name(home.raw));
	assert_int_equal(to.real_lid, to.lid);
	assert_int_equal(gid_rows_add(&gids, now.raw), 0);
	assert_int_equal(remote_goes_to(&to, gid_name(now.raw), &gids), 0);
	assert_int_equal(to.lid, gid_name(home.raw));
	remote_address(&to, &address);
	assert_memory_equal(&address.grh.dgid, &now, sizeof(now));
	assert_int_equal(address.dlid, LID);
	rows_clear(&gids.base);
}

/* Also where the name is that of the GID which the application has given. */
static void a_name_without_a_gid_leads_nowhere(void **state)
{
	struct ibv_ah_attr address = address_over(IBV_LINK_LAYER_ETHERNET);
	const uint32_t names[] = {gid_name(now.raw), gid_name(home.raw), LID_NOW};

	for (size_t i = 0; i < 3; i++) {
		struct remote to = remote_at(&context, &address, QPN);

		assert_int_equal(remote_goes_to(&to, names[i], NULL), -EHOSTUNREACH);
		assert_int_equal(to.unreachable, EHOSTUNREACH);
		assert_memory_equal(&to.real_gid, &home, sizeof(home));
	}
}

static void a_port_is_known_by_each_gid_once(void **state)
{
	struct known_gids known = {0}, copy = {0};
	union ibv_gid gid;

	assert_int_equal(known_gids_add(&known, &nobodys), 0);
	assert_int_equal(known_gids_add(&known, &home), 1);
	assert_int_equal(known_gids_add(&known, &now), 1);
	assert_int_equal(known_gids_add(&known, &home), 0);
	assert_int_equal(known.count, 2);
	assert_true(known_gids_have_name(&known, gid_name(now.raw)));
	assert_false(known_gids_have_name(&known, gid_name(now.raw) ^ 1));
	assert_int_equal(known_gids_copy(&copy, &known), 0);
	known_gids_clear(&known);
	assert_true(known_gids_have_name(&copy, gid_name(home.raw)));
	assert_false(known_gids_get(&copy, 0, &gid));
	known_gids_clear(&copy);
}

static void those_come_that_are_announced(void **state)
{
	struct known_gids known = {0};
	union ibv_gid gid;

	known_gids_add(&known, &home);
	assert_false(known_gids_get(&known, 0, &gid));
	assert_true(known_gids_next(&known, &gid));
	assert_memory_equal(&gid, &home, sizeof(home));
	assert_false(known_gids_next(&known, &gid));
	known_gids_add(&known, &now);
	assert_true(known_gids_get(&known, 0, &gid));
	assert_false(known_gids_get(&known, 1, &gid));
	assert_true(known_gids_next(&known, &gid));
	assert_memory_equal(&gid, &now, sizeof(now));
	known_gids_clear(&known);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(over_infiniband_it_is_its_lid),
	        TEST(over_ethernet_it_is_the_name_of_its_gid),
	        TEST(a_name_without_a_gid_leads_nowhere),
	        TEST(a_port_is_known_by_each_gid_once),
	        TEST(those_come_that_are_announced),
	};

	return cmocka_run_group_tests_name("shim_remote_place", tests, NULL, NULL);
}
