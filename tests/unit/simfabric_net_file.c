/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/net_file.h"

static const char two_hosts[] = "# two hosts on a switch\n"
                                "Switch\t8 \"Leaf\" # \"leaf switch\" enhanced port 0\n"
                                "[1]\t\"H1\"[1]\n"
                                "[3]\t\"H2\"[2] w=3 s=7\n"
                                "\n"
                                "Ca 1 \"H1\"\n"
                                "[1] \"Leaf\"[1]\n"
                                "\n"
                                "Hca\t2 \"H2\"\n"
                                "[2] \"Leaf\"[3]\n";

static int parse(const char *text, struct net **net, char *error)
{
	return net_parse("t.net", text, strlen(text), net, error, 256);
}

static void nodes_get_the_guids_that_ibsim_gives(void **state)
{
	struct net *net;
	char error[256];

	assert_int_equal(parse(two_hosts, &net, error), 0);
	assert_int_equal(net->node_count, 3);
	assert_int_equal(net->nodes[0].guid, 0x200000);
	assert_int_equal(net->nodes[1].guid, 0x100000);
	assert_int_equal(net->nodes[2].guid, 0x100002);
	assert_int_equal(net_port_guid(&net->nodes[2], 2), 0x100004);
	net_destroy(net);
}

static void cables_join_the_ports_that_name_each_other(void **state)
{
	struct net *net;
	char error[256];

	assert_int_equal(parse(two_hosts, &net, error), 0);
	assert_int_equal(net->port_count, 9 + 1 + 2);
	assert_int_equal(net->ports[3].peer, 9 + 1 + 1);
	assert_int_equal(net->ports[11].peer, 3);
	assert_int_equal(net->ports[10].peer, NO_INDEX);
	assert_int_equal(net->ports[3].width_enabled, 3);
	assert_int_equal(net->ports[3].speed_enabled, 7);
	assert_string_equal(net->nodes[0].description, "leaf switch");
	assert_true(net->nodes[0].has_enhanced_port0);
	net_destroy(net);
}

static void guid_bases_move_the_next_guids(void **state)
{
	struct net *net;
	char error[256];

	assert_int_equal(
	        parse("caguid=0x77000\nCa 1 \"A\"\n\ncaguid+0x10\nCa 1 \"B\"\n", &net, error), 0);
	assert_int_equal(net->nodes[0].guid, 0x77000);
	assert_int_equal(net->nodes[1].guid, 0x77010);
	net_destroy(net);
}

static void hypervisor_directive_names_vswitch_and_pf(void **state)
{
	struct net *net;
	char error[256];

	assert_int_equal(parse("#hypervisor \"h\" vswitch \"V\" pf \"P\"\n#mtu 4096\n"
	                       "Switch 2 \"V\"\n[1] \"P\"[1]\n\nCa 1 \"P\"\n[1] \"V\"[1]\n",
	                         &net, error),
	        0);
	assert_int_equal(net->hypervisor_count, 1);
	assert_string_equal(net->hypervisors[0].name, "h");
	assert_int_equal(net->hypervisors[0].vswitch, 0);
	assert_int_equal(net->hypervisors[0].pf, 1);
	assert_int_equal(net->mtu_cap, 5);
	net_destroy(net);
}

static void shared_port_hypervisor_names_pf_and_vfs(void **state)
{
	struct net *net;
	char error[256];

	assert_int_equal(
	        parse("#hypervisor \"h\" shared pf \"P\" vfs 4\nCa 1 \"P\"\n", &net, error), 0);
	assert_int_equal(net->hypervisors[0].vswitch, NO_INDEX);
	assert_int_equal(net->hypervisors[0].pf, 0);
	assert_int_equal(net->hypervisors[0].shared_vfs, 4);
	net_destroy(net);
}

static void each_mistake_is_named_with_its_line(void **state)
{
	static const struct {
		const char *what, *text, *error;
	} rows[] = {
	        {"empty file", "", "t.net:0: no node in this file"},
	        {"unknown peer", "Ca 1 \"A\"\n[1] \"X\"[1]\n", "t.net:2: there is no node \"X\""},
	        {"one-sided cable", "Ca 1 \"A\"\n[1] \"B\"[1]\n\nCa 1 \"B\"\n",
	                "t.net:2: port 1 of \"B\" does not lead back to port 1 of \"A\""},
	        {"port beyond the node", "Ca 1 \"A\"\n[2] \"B\"[1]\n",
	                "t.net:2: \"A\" has ports 1 to 1"},
	        {"peer port beyond the peer", "Ca 1 \"A\"\n[1] \"B\"[2]\n\nCa 1 \"B\"\n",
	                "t.net:2: \"B\" has ports 1 to 1"},
	        {"two nodes of a name", "Ca 1 \"A\"\n\nCa 1 \"A\"\n",
	                "t.net:3: there is a node \"A\" already"},
	        {"two nodes of a GUID", "caguid=1\nCa 1 \"A\"\n\ncaguid=1\nCa 1 \"B\"\n",
	                "t.net:5: two nodes with GUID 0x0000000000000001"},
	        {"port twice", "Ca 1 \"A\"\n[1] \"B\"\n\nSwitch 2 \"B\"\n[1] \"A\"\n[1] \"A\"\n",
	                "t.net:6: this port of \"B\" stands in line 5 already"},
	        {"no ports", "Ca 0 \"A\"\n", "t.net:1: a node has 1 to 254 ports"},
	        {"too many ports", "Switch 255 \"A\"\n", "t.net:1: a node has 1 to 254 ports"},
	        {"no id", "Ca 1 A\n", "t.net:1: the node's id in quotes is missing"},
	        {"reserved character", "Ca 1 \"A#1\"\n",
	                "t.net:1: the node's id \"A#1\" has a # or @ in it"},
	        {"port outside", "[1] \"A\"[1]\n", "t.net:1: a port outside of a node"},
	        {"no empty line", "Ca 2 \"A\"\nCa 1 \"B\"\n",
	                "t.net:2: an empty line must end the node before"},
	        {"to itself", "Switch 2 \"A\"\n[1] \"A\"[1]\n",
	                "t.net:2: a cable from port 1 of \"A\" to itself"},
	        {"width", "Switch 2 \"A\"\n[1] \"A\"[2] w=32\n",
	                "t.net:2: link width 32 is not from 1 to 31"},
	        {"hypervisor without switch",
	                "#hypervisor \"h\" vswitch \"V\" pf \"P\"\nCa 1 \"P\"\n",
	                "t.net:1: there is no switch \"V\""},
	        {"hypervisor of no kind", "#hypervisor \"h\" pf \"P\"\nCa 1 \"P\"\n",
	                "t.net:1: a hypervisor needs vswitch \"SWITCH\", or shared"},
	        {"more VFs than alias GUIDs",
	                "#hypervisor \"h\" shared pf \"P\" vfs 32\nCa 1 \"P\"\n",
	                "t.net:1: 32 is not from 1 to 31"},
	        {"VFs without number", "#hypervisor \"h\" shared pf \"P\"\nCa 1 \"P\"\n",
	                "t.net:1: a Shared Port hypervisor needs vfs N"},
	        {"shared and dynamic",
	                "#hypervisor \"h\" shared pf \"P\" vfs 1 dynamic\nCa 1 \"P\"\n",
	                "t.net:1: VFs that share a port cannot be down by themselves"},
	        {"a PF for two",
	                "#hypervisor \"a\" shared pf \"P\" vfs 1\n"
	                "#hypervisor \"b\" shared pf \"P\" vfs 1\nCa 1 \"P\"\n",
	                "t.net:2: \"P\" is another hypervisor's PF"},
	        {"mtu", "#mtu 9000\n", "t.net:1: an MTU is 256, 512, 1024, 2048 or 4096"},
	        {"include", "include \"x\"\n", "t.net:1: module, include and do are not supported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net *net = NULL;
		char error[256] = "";

		print_message("# %s\n", rows[i].what);
		assert_int_equal(parse(rows[i].text, &net, error), -EINVAL);
		assert_string_equal(error, rows[i].error);
		assert_null(net);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nodes_get_the_guids_that_ibsim_gives),
	        cmocka_unit_test(cables_join_the_ports_that_name_each_other),
	        cmocka_unit_test(guid_bases_move_the_next_guids),
	        cmocka_unit_test(hypervisor_directive_names_vswitch_and_pf),
	        cmocka_unit_test(shared_port_hypervisor_names_pf_and_vfs),
	        cmocka_unit_test(each_mistake_is_named_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
