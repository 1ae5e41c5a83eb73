/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Hypervisors whose VFs share one port: slots are entries of its GUIDInfo table. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/attach.h"
#include "simfabric/sma.h"
#include "unit/simfabric_fixture.h"

enum { ATTRIBUTE_GUID_INFO = 0x14, GUID_BYTES = 8 };

static const char two_hypervisors[] = "#hypervisor \"a\" shared pf \"A\" vfs 2\n"
                                      "#hypervisor \"b\" shared pf \"B\" vfs 9\n"
                                      "Ca 1 \"A\"\n[1] \"B\"[1]\n\nCa 1 \"B\"\n[1] \"A\"[1]\n";

static struct fabric *fabric;

static int open_fabric(void **state)
{
	fabric = fixture_open_net(two_hypervisors);
	return fabric && !vm_add(fabric, "one") && !vm_add(fabric, "two") ? 0 : -1;
}

static int close_fabric(void **state)
{
	unsetenv("SIMFABRIC_VM");
	fixture_close(fabric);
	return 0;
}

static struct hca_place place_of(const char *vm)
{
	struct hca_place place;

	setenv("SIMFABRIC_VM", vm, 1);
	assert_int_equal(attach_current(fabric, &place), 0);
	return place;
}

/* GUIDInfo of @node's port as its subnet manager gets it, or, where @set is not NULL, sets it. */
static void guid_info(const char *node, unsigned block, const uint64_t *set, uint64_t guids[8])
{
	uint8_t mad[256] = {1, CLASS_SUBN_LID, 1, set ? METHOD_SUBN_SET : METHOD_SUBN_GET};

	mad_set16(mad, MAD_ATTRIBUTE, ATTRIBUTE_GUID_INFO);
	mad_set32(mad, MAD_MODIFIER, block);
	for (unsigned i = 0; set && i < 8; i++)
		mad_set64(mad, SMP_DATA + i * GUID_BYTES, set[i]);
	fabric_lock(fabric);
	assert_int_equal(sma_handle(fabric, fixture_port(fabric, node, 1), 1, mad), SMA_ANSWERED);
	fabric_unlock(fabric);
	assert_int_equal(mad_get16(mad, MAD_STATUS), STATUS_OK);
	for (unsigned i = 0; i < 8; i++)
		guids[i] = mad_get64(mad, SMP_DATA + i * GUID_BYTES);
}

static void vfs_share_a_port_and_differ_in_guids(void **state)
{
	struct hca_place one, two;

	assert_int_equal(attach_vm(fabric, "one", "a_vf1"), 0);
	assert_int_equal(attach_vm(fabric, "two", "a_vf2"), 0);
	one = place_of("one");
	two = place_of("two");
	assert_int_equal(one.port, fixture_port(fabric, "A", 1));
	assert_int_equal(two.port, one.port);
	assert_string_equal(one.device_name, "a_vf1");
	assert_int_not_equal(place_port_guid(fabric, &one), place_port_guid(fabric, &two));
	assert_int_not_equal(place_node_guid(fabric, &one), place_node_guid(fabric, &two));
	assert_int_not_equal(place_port_guid(fabric, &one), fabric->ports[one.port].guid);
}

static void guids_are_entries_of_the_ports_table(void **state)
{
	uint64_t guids[8];

	guid_info("B", 0, NULL, guids);
	assert_int_equal(guids[0], fabric->ports[fixture_port(fabric, "B", 1)].guid);
	assert_int_equal(guids[2], slot_port_guid(fabric, slot_find(fabric, "b_vf2")));
	guid_info("B", 1, NULL, guids);
	assert_int_equal(guids[1], slot_port_guid(fabric, slot_find(fabric, "b_vf9")));
	assert_int_equal(guids[2], 0);
}

static void subnet_manager_sets_what_the_vm_sees(void **state)
{
	const uint64_t set[8] = {0, 77, 0};
	struct hca_place place;
	uint64_t guids[8], changes;

	assert_int_equal(attach_vm(fabric, "one", "a_vf1"), 0);
	place = place_of("one");
	changes = fabric->ports[place.port].events[PORT_EVENT_GID_CHANGE];
	guid_info("A", 0, set, guids);
	assert_int_equal(guids[1], 77);
	assert_int_equal(place_port_guid(fabric, &place), 77);
	assert_int_equal(slot_port_guid(fabric, slot_find(fabric, "a_vf2")), 0);
	assert_int_equal(fabric->ports[place.port].events[PORT_EVENT_GID_CHANGE], changes + 1);
}

static void host_sets_guids_of_a_free_vf(void **state)
{
	uint32_t slot = slot_find(fabric, "a_vf2");
	uint64_t guids[8];

	assert_int_equal(attach_vm(fabric, "one", "a_vf1"), 0);
	assert_int_equal(ca_set_guids(fabric, "a_vf1", 7, 8), -EBUSY);
	assert_int_equal(ca_set_guids(fabric, "a_vf2", 7, 8), 0);
	assert_int_equal(slot_node_guid(fabric, slot), 7);
	assert_int_equal(slot_port_guid(fabric, slot), 8);
	guid_info("A", 0, NULL, guids);
	assert_int_equal(guids[2], 8);
	assert_int_not_equal(fabric->nodes[node_find(fabric, "A")].guid, 7);
}

static void each_vf_comes_and_goes_by_itself(void **state)
{
	struct hca_place one, two, unused;

	assert_int_equal(attach_vm(fabric, "one", "a_vf1"), 0);
	assert_int_equal(attach_vm(fabric, "two", "a_vf2"), 0);
	one = place_of("one");
	two = place_of("two");
	assert_int_equal(attach_hold(fabric, &one), 0);
	assert_int_equal(attach_hold(fabric, &two), 0);
	assert_int_equal(detach_vm(fabric, "one", DETACH_SURPRISE, 0), 0);
	assert_int_equal(attach_state(fabric, &one), ATTACH_GONE);
	assert_int_equal(attach_state(fabric, &two), ATTACH_HELD);
	setenv("SIMFABRIC_VM", "one", 1);
	assert_int_equal(attach_current(fabric, &unused), -ENODEV);
	assert_int_equal(attach_vm(fabric, "one", "b_vf1"), 0);
	assert_int_equal(place_of("one").port, fixture_port(fabric, "B", 1));
}

#define on_fabric(test) cmocka_unit_test_setup_teardown(test, open_fabric, close_fabric)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_fabric(vfs_share_a_port_and_differ_in_guids),
	        on_fabric(guids_are_entries_of_the_ports_table),
	        on_fabric(subnet_manager_sets_what_the_vm_sees),
	        on_fabric(host_sets_guids_of_a_free_vf),
	        on_fabric(each_vf_comes_and_goes_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
