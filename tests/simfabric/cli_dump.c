/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdio.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "simfabric/cli.h"
#include "simfabric/mad_fields.h"
#include "simfabric/switch_info.h"
#include "simfabric/topology.h"

static const char *const state_names[] = {"nop", "down", "init", "armed", "active"};
static const char *const phys_names[] = {"nop", "sleep", "polling", "disabled", "training", "up"};
static const unsigned mtu_bytes[] = {0, 256, 512, 1024, 2048, 4096};

/* {"leaf1": [255, 255, 3, ...]}: the port for each LID up to the top. */
static struct json_object *dump_lft(const struct fabric *fabric)
{
	struct json_object *all = json_object_new_object();

	for (uint32_t i = 0; i < switch_count(fabric); i++) {
		const struct fabric_switch *sw = &fabric->switches[i];
		const uint64_t *lft = switch_lft(fabric, i);
		struct json_object *ports = json_object_new_array();

		for (unsigned lid = 0; lid <= switch_info_linear_top(sw->info); lid++)
			json_object_array_add(ports, json_object_new_int(lft_port(lft, lid)));
		json_object_object_add(all, fabric->nodes[sw->node].name, ports);
	}
	return all;
}

/* {"leaf1": "ffff03..."}: the same in two digits for each LID, for fabrics with millions of
 * entries. */
static struct json_object *dump_lft_hex(const struct fabric *fabric)
{
	static const char digits[] = "0123456789abcdef";
	struct json_object *all = json_object_new_object();
	char text[2 * LFT_CAPACITY];

	for (uint32_t i = 0; i < switch_count(fabric); i++) {
		const struct fabric_switch *sw = &fabric->switches[i];
		const uint64_t *lft = switch_lft(fabric, i);
		unsigned lid;

		for (lid = 0; lid < LFT_CAPACITY && lid <= switch_info_linear_top(sw->info);
		        lid++) {
			text[2 * lid] = digits[lft_port(lft, lid) >> 4];
			text[2 * lid + 1] = digits[lft_port(lft, lid) & 0xf];
		}
		json_object_object_add(all, fabric->nodes[sw->node].name,
		        json_object_new_string_len(text, 2 * lid));
	}
	return all;
}

static bool is_in_group(const struct fabric *fabric, uint32_t sw, unsigned lid, unsigned port)
{
	const uint8_t *block = switch_mft_block(fabric, sw, port / 16, lid / MFT_BLOCK);

	return mad_get16(block, lid % MFT_BLOCK * 2) >> port % 16 & 1;
}

/* {"leaf1": {"0xc000": [1, 7]}}: the ports of each group that has any. */
static struct json_object *dump_mft_of(const struct fabric *fabric, uint32_t sw)
{
	const struct node *node = &fabric->nodes[fabric->switches[sw].node];
	struct json_object *groups = json_object_new_object();

	for (unsigned lid = 0; lid < MFT_CAPACITY; lid++) {
		struct json_object *ports = NULL;
		char name[8];

		for (unsigned port = 0; port <= node->ports; port++) {
			if (!is_in_group(fabric, sw, lid, port))
				continue;
			if (!ports)
				ports = json_object_new_array();
			json_object_array_add(ports, json_object_new_int(port));
		}
		if (!ports)
			continue;
		snprintf(name, sizeof(name), "0x%x", MFT_FIRST_LID + lid);
		json_object_object_add(groups, name, ports);
	}
	return groups;
}

static struct json_object *dump_mft(const struct fabric *fabric)
{
	struct json_object *all = json_object_new_object();

	for (uint32_t i = 0; i < switch_count(fabric); i++)
		json_object_object_add(
		        all, fabric->nodes[fabric->switches[i].node].name, dump_mft_of(fabric, i));
	return all;
}

static struct json_object *describe_end(const struct fabric *fabric, uint32_t index)
{
	const struct port *port = &fabric->ports[index];
	struct json_object *row = json_object_new_object();

	json_put_string(row, "node", fabric->nodes[port->node].name);
	json_put_number(row, "port", port->number);
	return row;
}

static void describe_link(const struct port *port, struct json_object *row)
{
	json_put_number(row, "mtu", mtu_bytes[port_info_mtu(port->info) % ARRAY_SIZE(mtu_bytes)]);
	json_put_number(row, "width_active", port_info_width_active(port->info));
	json_put_number(row, "speed_active", port_info_speed_active(port->info));
	json_put_number(row, "oper_vls", port_info_oper_vls(port->info));
}

/* A list with one object for each port. */
static struct json_object *dump_ports(const struct fabric *fabric)
{
	struct json_object *all = json_object_new_array();

	for (uint32_t i = 0; i < port_count(fabric); i++) {
		const struct port *port = &fabric->ports[i];
		struct json_object *row = describe_end(fabric, i);
		unsigned state = port_info_state(port->info),
		         phys = port_info_phys_state(port->info);

		json_put_guid(row, "guid", port->guid);
		json_put_number(row, "lid", port_lid(port));
		json_put_number(row, "lmc", port_lmc(port));
		json_put_number(row, "sm_lid", port_info_sm_lid(port->info));
		json_put_string(row, "state", state_names[state % ARRAY_SIZE(state_names)]);
		json_put_string(row, "link", phys_names[phys % ARRAY_SIZE(phys_names)]);
		describe_link(port, row);
		json_put_guid(row, "mkey", port_info_mkey(port->info));
		json_object_object_add(row, "peer",
		        port->peer == NO_INDEX ? NULL : describe_end(fabric, port->peer));
		json_object_array_add(all, row);
	}
	return all;
}

/* A list: for each port that has any P_Key its table, from index 0 to the last in use. */
static struct json_object *dump_pkeys(const struct fabric *fabric)
{
	struct json_object *all = json_object_new_array();

	for (uint32_t i = 0; i < port_count(fabric); i++) {
		struct json_object *row, *pkeys;
		int last = PKEY_TABLE_SIZE - 1;

		while (last >= 0 && !port_pkey(&fabric->ports[i], last))
			last--;
		if (last < 0)
			continue;
		row = describe_end(fabric, i);
		pkeys = json_object_new_array();
		for (int k = 0; k <= last; k++)
			json_object_array_add(
			        pkeys, json_object_new_int(port_pkey(&fabric->ports[i], k)));
		json_object_object_add(row, "pkeys", pkeys);
		json_object_array_add(all, row);
	}
	return all;
}

/* A list: which CA port carries which GUIDs and LID, and the switch port that it hangs on. */
static struct json_object *dump_places(const struct fabric *fabric)
{
	struct json_object *all = json_object_new_array();

	for (uint32_t i = 0; i < port_count(fabric); i++) {
		const struct port *port = &fabric->ports[i];
		const struct node *node = &fabric->nodes[port->node];
		struct json_object *row;

		if (node_is_switch(node))
			continue;
		row = describe_end(fabric, i);
		json_put_guid(row, "port_guid", port->guid);
		json_put_guid(row, "node_guid", node->guid);
		json_put_number(row, "lid", port_lid(port));
		json_object_object_add(row, "peer",
		        port->peer == NO_INDEX ? NULL : describe_end(fabric, port->peer));
		json_object_array_add(all, row);
	}
	return all;
}

/* Without --json: a line for each element, its name in front if it has one. */
static void print_lines(struct json_object *all)
{
	if (json_object_is_type(all, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(all); i++)
			puts(json_object_to_json_string_ext(
			        json_object_array_get_idx(all, i), JSON_C_TO_STRING_SPACED));
		return;
	}
	json_object_object_foreach(all, name, value)
	{
		printf("%s %s\n", name,
		        json_object_to_json_string_ext(value, JSON_C_TO_STRING_SPACED));
	}
}

int cli_dump(struct cli *cli, int argc, char **argv)
{
	static const struct {
		const char *what;
		struct json_object *(*dump)(const struct fabric *fabric);
	} dumps[] = {
	        {"lft", dump_lft},
	        {"lft-hex", dump_lft_hex},
	        {"mft", dump_mft},
	        {"ports", dump_ports},
	        {"pkeys", dump_pkeys},
	        {"places", dump_places},
	};
	bool is_json = argc == 3 && !strcmp(argv[2], "--json");
	struct json_object *all = NULL;

	if (argc != 2 && !is_json)
		return cli_wrong_usage(cli);
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		if (strcmp(argv[1], dumps[i].what))
			continue;
		fabric_lock(cli->fabric);
		all = dumps[i].dump(cli->fabric);
		fabric_unlock(cli->fabric);
	}
	if (!all)
		return cli_wrong_usage(cli);
	if (!is_json) {
		print_lines(all);
		json_object_put(all);
		return CLI_OK;
	}
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN));
	json_object_put(all);
	return CLI_OK;
}
