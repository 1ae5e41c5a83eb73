/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/net_lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { LINE_BYTES = 512 };

int net_fail(struct net_parser *p, const char *format, ...)
{
	int used = snprintf(p->error, p->error_bytes, "%s:%u: ", p->file, p->line);
	va_list args;

	va_start(args, format);
	if (used >= 0 && (size_t)used < p->error_bytes)
		vsnprintf(p->error + used, p->error_bytes - used, format, args);
	va_end(args);
	return -EINVAL;
}

/* Make room for @more elements in an array of @space that holds @count. */
static int grow(void *array, uint32_t count, uint32_t more, uint32_t *space, size_t element)
{
	uint32_t wanted = *space ? *space : 64;
	void *bigger;

	while (wanted < count + more)
		wanted *= 2;
	if (wanted == *space)
		return 0;
	bigger = reallocarray(*(void **)array, wanted, element);
	if (!bigger)
		return -ENOMEM;
	*(void **)array = bigger;
	*space = wanted;
	return 0;
}

static uint32_t name_hash(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash % NET_NAME_BUCKETS;
}

uint32_t net_parser_find(const struct net_parser *p, const char *name)
{
	uint32_t node = p->buckets[name_hash(name)];

	while (node != NO_INDEX && strcmp(p->net->nodes[node].name, name))
		node = p->next[node];
	return node;
}

/* Copy what stands between the next two quotes; *@rest follows the second. */
static int quoted(
        struct net_parser *p, const char *from, const char *what, char name[], const char **rest)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): net_fail is never 0 */
	const char *open = strchr(from, '"');
	const char *close = open ? strchr(open + 1, '"') : NULL;
	size_t length = close ? (size_t)(close - open - 1) : 0;

	if (!close || !length)
		return net_fail(p, "%s in quotes is missing", what);
	if (length >= NODE_NAME_BYTES)
		return net_fail(p, "%s is longer than %d characters", what, NODE_NAME_BYTES - 1);
	memcpy(name, open + 1, length);
	name[length] = 0;
	if (strpbrk(name, "#@"))
		return net_fail(p, "%s \"%s\" has a # or @ in it", what, name);
	*rest = close + 1;
	return 0;
}

/* The comment behind a node's id: a quoted description, or all of it up to ibnetdiscover's facts.
 */
static void describe(struct net_node *node, const char *rest)
{
	static const char *const ends[] = {" enhanced port ", " base port ", " lid ", " lmc "};
	const char *start = strchr(rest, '#');
	size_t length = 0;

	if (start) {
		start += 1 + strspn(start + 1, " \t");
		if (*start == '"') {
			length = strcspn(++start, "\"");
		} else {
			length = strlen(start);
			for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
				const char *end = strstr(start, ends[i]);

				if (end && (size_t)(end - start) < length)
					length = end - start;
			}
		}
	}
	if (!length) {
		start = node->name;
		length = strlen(start);
	}
	memcpy(node->description, start,
	        length < sizeof(node->description) ? length : sizeof(node->description));
}

static int add_ports(struct net_parser *p, uint32_t count)
{
	uint32_t cable_space = p->port_space;
	int r = grow(&p->cables, p->net->port_count, count, &cable_space, sizeof(*p->cables));

	if (!r)
		r = grow(&p->net->ports, p->net->port_count, count, &p->port_space,
		        sizeof(*p->net->ports));
	if (r)
		return r;
	for (uint32_t i = p->net->port_count; i < p->net->port_count + count; i++) {
		p->net->ports[i] = (struct net_port){
		        .peer = NO_INDEX,
		        .width_enabled = p->width,
		        .speed_enabled = p->speed,
		        .speed_ext_enabled = p->speed_ext,
		};
		p->cables[i] = (struct net_cable){.line = p->line};
	}
	p->net->port_count += count;
	return 0;
}

/* ibsim's numbering: a switch takes one GUID, a CA one for itself and one for each port. */
static void take_guids(struct net_parser *p, struct net_node *node)
{
	node->guid = p->guid_next[node->kind];
	node->system_guid = p->system_guid ? p->system_guid : node->guid;
	node->vendor_id = p->vendor_id;
	node->device_id = p->device_id;
	p->guid_next[node->kind] += node->kind == NODE_SWITCH ? 1 : node->ports + 1;
	p->system_guid = 0;
	p->vendor_id = 0;
}

static int add_node(struct net_parser *p, const struct net_node *node)
{
	struct net *net = p->net;
	uint32_t next_space = p->node_space;
	uint32_t hash = name_hash(node->name);
	int r;

	if (net_parser_find(p, node->name) != NO_INDEX)
		return net_fail(p, "there is a node \"%s\" already", node->name);
	if (net->node_count == NET_MAX_NODES)
		return net_fail(p, "more than %d nodes", NET_MAX_NODES);
	r = grow(&p->next, net->node_count, 1, &next_space, sizeof(*p->next));
	if (!r)
		r = grow(&net->nodes, net->node_count, 1, &p->node_space, sizeof(*net->nodes));
	if (r)
		return r;
	p->next[net->node_count] = p->buckets[hash];
	p->buckets[hash] = net->node_count;
	p->node = &net->nodes[net->node_count++];
	*p->node = *node;
	p->node->first_port = net->port_count;
	net->switch_count += node->kind == NODE_SWITCH;
	p->ports_left = node->ports;
	return add_ports(p, node->ports + (node->kind == NODE_SWITCH));
}

static int parse_node(struct net_parser *p, const char *line, enum node_kind kind)
{
	const char *digits = line + strcspn(line, "0123456789\"");
	unsigned long ports = strtoul(digits, NULL, 0);
	struct net_node node = {.kind = kind};
	const char *rest = "";
	int r;

	if (ports < 1 || ports > NET_MAX_PORTS)
		return net_fail(p, "a node has 1 to %d ports", NET_MAX_PORTS);
	node.ports = ports;
	r = quoted(p, digits, "the node's id", node.name, &rest);
	if (r)
		return r;
	describe(&node, rest);
	node.has_enhanced_port0 = kind == NODE_SWITCH && strstr(rest, "enhanced port 0");
	take_guids(p, &node);
	return add_node(p, &node);
}

static int parse_port_option(
        struct net_parser *p, struct net_port *port, char key, const char *value)
{
	unsigned long v = strtoul(value, NULL, 0);

	switch (key) {
	case 'w':
		if (v < 1 || v > 31)
			return net_fail(p, "link width %lu is not from 1 to 31", v);
		port->width_enabled = v;
		break;
	case 's':
		if (v < 1 || v > 7)
			return net_fail(p, "link speed %lu is not from 1 to 7", v);
		port->speed_enabled = v;
		break;
	case 'e':
		if (v > 7)
			return net_fail(p, "extended link speed %lu is not from 0 to 7", v);
		port->speed_ext_enabled = v;
		break;
	}
	return 0;
}

static int parse_port_options(struct net_parser *p, struct net_port *port, const char *rest)
{
	const char *comment = strchr(rest, '#');

	for (const char *equals = rest; (equals = strchr(equals, '=')); equals++) {
		int r;

		if (comment && equals > comment)
			break;
		if (equals == rest)
			return net_fail(p, "an option has no name");
		r = parse_port_option(p, port, equals[-1], equals + 1);
		if (r)
			return r;
	}
	return 0;
}

/* [local] "peer"[remote] w=.. s=.. e=..; ibsim takes port 1 where the remote one is left out. */
static int parse_port(struct net_parser *p, const char *line)
{
	char *end;
	unsigned long number = strtoul(line + 1, &end, 10);
	struct net_port *port;
	struct net_cable *cable;
	unsigned long peer_port = 1;
	const char *rest = "";
	int r;

	if (end == line + 1 || *end != ']' || number < 1 || number > p->node->ports)
		return net_fail(p, "\"%s\" has ports 1 to %u", p->node->name, p->node->ports);
	number -= p->node->kind != NODE_SWITCH;
	port = &p->net->ports[p->node->first_port + number];
	cable = &p->cables[p->node->first_port + number];
	if (cable->peer[0])
		return net_fail(p, "this port of \"%s\" stands in line %u already", p->node->name,
		        cable->line);
	r = quoted(p, end, "the other end's id", cable->peer, &rest);
	if (r)
		return r;
	if (*rest == '[') {
		peer_port = strtoul(rest + 1, &end, 10);
		if (end == rest + 1 || *end != ']' || peer_port < 1 || peer_port > NET_MAX_PORTS)
			return net_fail(
			        p, "the other end's port is not from 1 to %d", NET_MAX_PORTS);
		rest = end + 1;
	}
	cable->peer_port = peer_port;
	cable->line = p->line;
	return parse_port_options(p, port, rest);
}

static int parse_guid_base(struct net_parser *p, const char *line, enum node_kind kind)
{
	const char *sign = line + strcspn(line, "=+");
	uint64_t guid;

	if (!*sign)
		return net_fail(p, "a GUID base is written with = or +");
	guid = strtoull(sign + 1, NULL, 0);
	if (*sign == '=') {
		p->guid_base[kind] = guid;
		guid = 0;
	}
	p->guid_next[kind] = p->guid_base[kind] + guid;
	return 0;
}

static int parse_small(struct net_parser *p, const char *value, unsigned long least,
        unsigned long most, uint8_t *into)
{
	unsigned long v = strtoul(value, NULL, 0);

	if (v < least || v > most)
		return net_fail(p, "%lu is not from %lu to %lu", v, least, most);
	*into = v;
	return 0;
}

static int parse_assignment(struct net_parser *p, const char *line)
{
	const char *equals = strchr(line, '=');
	const char *value = equals ? equals + 1 : "";

	if (!strncmp(line, "switchguid", 10))
		return parse_guid_base(p, line, NODE_SWITCH);
	if (!strncmp(line, "hcaguids", 8) || !strncmp(line, "caguid", 6))
		return parse_guid_base(p, line, NODE_CA);
	if (!strncmp(line, "rtguid", 6))
		return parse_guid_base(p, line, NODE_ROUTER);
	if (!equals)
		return 0;
	if (!strncmp(line, "vendid", 6))
		p->vendor_id = strtoul(value, NULL, 0) & 0xffffff;
	else if (!strncmp(line, "devid", 5))
		p->device_id = strtoul(value, NULL, 0);
	else if (!strncmp(line, "sysimgguid", 10))
		p->system_guid = strtoull(value, NULL, 0);
	else if (!strncmp(line, "width", 5))
		return parse_small(p, value, 1, 31, &p->width);
	else if (!strncmp(line, "speed", 5))
		return parse_small(p, value, 1, 7, &p->speed);
	else if (!strncmp(line, "extspeed", 8))
		return parse_small(p, value, 0, 7, &p->speed_ext);
	return 0;
}

static int parse_mtu(struct net_parser *p, const char *value)
{
	unsigned long bytes = strtoul(value, NULL, 10);

	for (uint8_t code = NET_MTU_256; code <= 5; code++) {
		if (bytes == 128ul << code) {
			p->net->mtu_cap = code;
			return 0;
		}
	}
	return net_fail(p, "an MTU is 256, 512, 1024, 2048 or 4096");
}

static int parse_vfs(struct net_parser *p, const char *rest, uint8_t *vfs)
{
	const char *number = strstr(rest, "vfs");

	if (!number)
		return net_fail(p, "a Shared Port hypervisor needs vfs N");
	return parse_small(p, number + 3, 1, NET_MAX_SHARED_VFS, vfs);
}

/* Behind its name: on which switch, or that it is Shared Port. */
static int parse_hypervisor_kind(
        struct net_parser *p, struct net_hypervisor_line *h, const char **rest)
{
	const char *vswitch = strstr(*rest, "vswitch");

	if (vswitch)
		return quoted(p, vswitch, "the vSwitch's id", h->vswitch, rest);
	if (!strstr(*rest, "shared"))
		return net_fail(p, "a hypervisor needs vswitch \"SWITCH\", or shared");
	return parse_vfs(p, *rest, &h->shared_vfs);
}

static int parse_hypervisor(struct net_parser *p, const char *line)
{
	struct net_hypervisor_line h = {.line = p->line};
	const char *rest = "";
	int r = grow(&p->hypervisors, p->net->hypervisor_count, 1, &p->hypervisor_space,
	        sizeof(*p->hypervisors));

	if (!r)
		r = quoted(p, line, "the hypervisor's name", h.name, &rest);
	if (!r)
		r = parse_hypervisor_kind(p, &h, &rest);
	if (!r && !(rest = strstr(rest, "pf")))
		r = net_fail(p, "a hypervisor needs pf \"CA\"");
	if (!r)
		r = quoted(p, rest, "the PF's id", h.pf, &rest);
	h.is_dynamic = !r && strstr(rest, "dynamic");
	if (h.is_dynamic && h.shared_vfs)
		r = net_fail(p, "VFs that share a port cannot be down by themselves");
	if (!r)
		p->hypervisors[p->net->hypervisor_count++] = h;
	return r;
}

static int parse_top_line(struct net_parser *p, const char *line)
{
	if (!strncmp(line, "Switch", 6))
		return parse_node(p, line, NODE_SWITCH);
	if (!strncmp(line, "Hca", 3) || !strncmp(line, "Ca", 2))
		return parse_node(p, line, NODE_CA);
	if (!strncmp(line, "Rt", 2))
		return parse_node(p, line, NODE_ROUTER);
	if (!strncmp(line, "module", 6) || !strncmp(line, "include", 7) || !strncmp(line, "do", 2))
		return net_fail(p, "module, include and do are not supported");
	if (*line == '[' || *line == '@')
		return net_fail(p, "a port outside of a node");
	return parse_assignment(p, line);
}

static int parse_line(struct net_parser *p, const char *line)
{
	if (!strncmp(line, "#hypervisor", 11))
		return parse_hypervisor(p, line + 11);
	if (!strncmp(line, "#mtu", 4))
		return parse_mtu(p, line + 4);
	if (*line == '#')
		return 0;
	if (p->node && p->ports_left) {
		if (*line == '[') {
			p->ports_left--;
			return parse_port(p, line);
		}
		p->node = NULL;
		/* ibsim swallows the line that ends a record: two readings of one file. */
		if (line[strspn(line, " \t\r")])
			return net_fail(p, "an empty line must end the node before");
		return 0;
	}
	p->node = NULL;
	return parse_top_line(p, line);
}

int net_parse_lines(struct net_parser *p, const char *text, size_t bytes)
{
	const char *end = text + bytes;

	while (text < end) {
		const char *newline = memchr(text, '\n', end - text);
		size_t length = newline ? (size_t)(newline - text) : (size_t)(end - text);
		char line[LINE_BYTES];
		int r;

		p->line++;
		if (length >= sizeof(line))
			return net_fail(p, "longer than %d characters", LINE_BYTES - 1);
		if (memchr(text, 0, length))
			return net_fail(p, "not a text file");
		memcpy(line, text, length);
		line[length] = 0;
		r = parse_line(p, line);
		if (r)
			return r;
		text = newline ? newline + 1 : end;
	}
	return 0;
}
