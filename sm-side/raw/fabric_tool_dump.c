/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdio.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"
#include "sm-side/raw/fabric_tool.h"

static void put_hex(struct json_object *into, const char *name, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	CLEANUP_FREE char *text = malloc(count * 2 + 1);

	if (!text)
		return;
	for (size_t i = 0; i < count; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * count] = 0;
	json_put_text(into, name, text);
}

static struct json_object *ports_json(
        const struct fabric_read *fabric, const struct read_node *node)
{
	struct json_object *ports = json_object_new_array();

	for (unsigned port = 0; port <= node->port_count; port++) {
		const struct read_port *at = &node->ports[port];
		struct json_object *row;

		if (!at->has_info)
			continue;
		row = json_object_new_object();
		json_put_number(row, "port", port);
		put_hex(row, "port_info", at->info, SMP_DATA_BYTES);
		if (at->guid)
			json_put_guid(row, "guid", at->guid);
		if (at->peer != READ_NOBODY) {
			json_put_guid(row, "peer", fabric->nodes[at->peer].guid);
			json_put_number(row, "peer_port", at->peer_port);
		}
		json_object_array_add(ports, row);
	}
	return ports;
}

int tool_dump(struct tool *tool)
{
	struct json_object *nodes = json_object_new_array();

	for (uint32_t i = 0; i < tool->fabric->count; i++) {
		const struct read_node *node = &tool->fabric->nodes[i];
		struct json_object *row = json_object_new_object();

		json_put_guid(row, "guid", node->guid);
		json_put_text(row, "description", node->description);
		json_put_number(row, "type", node->type);
		json_object_object_add(row, "ports", ports_json(tool->fabric, node));
		if (node->lft)
			put_hex(row, "lft", node->lft, node->lft_entries);
		json_object_array_add(nodes, row);
	}
	json_put_number(tool->said, "read_us", tool->read_us);
	json_object_object_add(tool->said, "nodes", nodes);
	if (!tool->options->json)
		printf("%s\n", json_object_to_json_string_ext(tool->said, JSON_C_TO_STRING_PRETTY));
	return TOOL_DONE;
}
