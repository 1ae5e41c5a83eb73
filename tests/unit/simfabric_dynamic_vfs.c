/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* VFs for dynamic LIDs: no VM, no link. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/attach.h"
#include "simfabric/traps.h"
#include "unit/simfabric_fixture.h"

enum { SM_LID = 9, VSWITCH_LID = 3 };

static const char one_hypervisor[] =
        "#hypervisor \"h\" vswitch \"V\" pf \"P\" dynamic\n"
        "Switch 3 \"V\"\n[1] \"P\"[1]\n[2] \"vf1\"[1]\n[3] \"vf2\"[1]\n\n"
        "Ca 1 \"P\"\n[1] \"V\"[1]\n\nCa 1 \"vf1\"\n[1] \"V\"[2]\n\nCa 1 \"vf2\"\n[1] \"V\"[3]\n";

static struct fabric *fabric;

static int open_fabric(void **state)
{
	struct port *port0;

	fabric = fixture_open_net(one_hypervisor);
	if (!fabric || vm_add(fabric, "vm"))
		return -1;
	/* Traps go to a subnet manager that has been there. */
	port0 = &fabric->ports[fixture_port(fabric, "V", 0)];
	port_info_set_lid(port0->info, VSWITCH_LID);
	port_info_set_sm_lid(port0->info, SM_LID);
	return 0;
}

static int close_fabric(void **state)
{
	fixture_close(fabric);
	return 0;
}

static bool is_up(const char *node, unsigned number)
{
	return port_is_up(&fabric->ports[fixture_port(fabric, node, number)]);
}

static void a_vf_without_vm_has_no_link(void **state)
{
	assert_false(is_up("vf1", 1));
	assert_false(is_up("V", 2));
	assert_true(is_up("P", 1));
	assert_int_equal(traps_outstanding(fabric), 0);
}

static void the_link_comes_and_goes_with_the_vm(void **state)
{
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0);
	assert_true(is_up("vf1", 1) && is_up("V", 2));
	assert_int_equal(port_state(&fabric->ports[fixture_port(fabric, "vf1", 1)]), PORT_INIT);
	assert_false(is_up("vf2", 1));
	assert_int_equal(traps_outstanding(fabric), 1);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 0), 0);
	assert_false(is_up("vf1", 1) || is_up("V", 2));
	assert_int_equal(attach_vm(fabric, "vm", "vf2"), 0);
	assert_true(is_up("vf2", 1));
	assert_int_equal(detach_vm(fabric, "vm", DETACH_SURPRISE, 0), 0);
	assert_false(is_up("vf2", 1));
}

/* A subnet manager that holds its sweeps is told when the link goes, not before. */
static void a_link_that_is_kept_is_pulled_by_hand(void **state)
{
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0);
	assert_int_equal(traps_outstanding(fabric), 1);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_KEEP_LINK, 0), 0);
	assert_true(is_up("vf1", 1) && is_up("V", 2));
	assert_int_equal(traps_outstanding(fabric), 1);
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 0), 0);
	assert_false(is_up("vf1", 1));
}

static void each_change_is_noted_by_the_switch(void **state)
{
	struct fabric_switch *sw = &fabric->switches[0];

	switch_info_set_state_change(sw->info, 0);
	assert_int_equal(attach_vm(fabric, "vm", "vf1"), 0);
	assert_true(switch_info_state_change(sw->info));
	switch_info_set_state_change(sw->info, 0);
	assert_int_equal(detach_vm(fabric, "vm", DETACH_ASK, 0), 0);
	assert_true(switch_info_state_change(sw->info));
}

#define on_fabric(test) cmocka_unit_test_setup_teardown(test, open_fabric, close_fabric)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        on_fabric(a_vf_without_vm_has_no_link),
	        on_fabric(the_link_comes_and_goes_with_the_vm),
	        on_fabric(a_link_that_is_kept_is_pulled_by_hand),
	        on_fabric(each_change_is_noted_by_the_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
