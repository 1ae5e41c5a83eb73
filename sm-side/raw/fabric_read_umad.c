/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Breadth first: each answer posts the next questions, so a window of them is under way all the
 * time and directed routes are shortest ones.
 */
#include "sm-side/raw/fabric_read_umad.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reader {
	struct umad_window *window;
	struct fabric_read *fabric;
	const struct read_settings *settings;
	int error;
	char *why;
};

__attribute__((format(printf, 3, 4))) static void fail(
        struct reader *reader, int error, const char *format, ...)
{
	va_list values;

	if (reader->error)
		return;
	reader->error = error;
	va_start(values, format);
	vsnprintf(reader->why, READ_WHY_BYTES, format, values);
	va_end(values);
	umad_window_cancel(reader->window);
}

static void fail_memory(struct reader *reader)
{
	fail(reader, -ENOMEM, "out of memory");
}

static const char *kind_of(const struct read_node *node)
{
	return node->type == SMP_NODE_SWITCH ? "switch" : "CA";
}

static const char *attribute_name(uint32_t attribute)
{
	switch (attribute) {
	case SMP_NODE_DESCRIPTION:
		return "NodeDescription";
	case SMP_NODE_INFO:
		return "NodeInfo";
	case SMP_SWITCH_INFO:
		return "SwitchInfo";
	case SMP_PORT_INFO:
		return "PortInfo";
	case SMP_LFT:
		return "LinearForwardingTable";
	}
	return "an attribute";
}

static const char *route_text(const struct smp_route *route, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, "0");

	for (unsigned i = 1; i <= route->hops && at < size; i++)
		at += (size_t)snprintf(text + at, size - at, ",%u", route->path[i]);
	return text;
}

/* The node @ask went to has not answered, or has refused. */
static void fail_node(struct reader *reader, const struct ask *ask, const char *how)
{
	const struct read_node *node = &reader->fabric->nodes[ask->index];
	char route[64];

	fail(reader, -EHOSTUNREACH, "%s 0x%016llx \"%s\" %s (%s %u, directed route %s)",
	        kind_of(node), (unsigned long long)node->guid, node->description, how,
	        attribute_name(ask->request.attribute), ask->request.modifier,
	        route_text(&node->route, route, sizeof(route)));
}

/* Is there an answer to go on with? Says why not. */
static bool is_answered(
        struct reader *reader, const struct ask *ask, const struct smp_answer *answer, int error)
{
	if (answer && answer->status == 0)
		return !reader->error;
	if (error == -ECANCELED)
		return false;
	fail_node(reader, ask, answer ? "answers with an error" : "does not answer");
	return false;
}

static void ask_node(struct reader *reader, uint32_t index, enum smp_attribute attribute,
        uint32_t modifier, ask_done done)
{
	struct ask ask = {
	        .request = {.route = reader->fabric->nodes[index].route,
	                .method = SMP_GET,
	                .attribute = attribute,
	                .modifier = modifier},
	        .done = done,
	        .context = reader,
	        .index = index,
	};

	if (umad_window_post(reader->window, &ask))
		fail_memory(reader);
}

static enum ask_verdict lft_read(const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct reader *reader = ask->context;
	struct read_node *node = &reader->fabric->nodes[ask->index];
	size_t at = (size_t)ask->request.modifier * LFT_BLOCK_LIDS;

	if (is_answered(reader, ask, answer, error) && at + LFT_BLOCK_LIDS <= node->lft_entries)
		memcpy(node->lft + at, answer->data, LFT_BLOCK_LIDS);
	return ASK_DONE;
}

static void note_port(struct read_node *node, uint32_t port, const uint8_t *info)
{
	memcpy(node->ports[port].info, info, SMP_DATA_BYTES);
	node->ports[port].has_info = true;
}

static enum ask_verdict node_found(
        const struct ask *ask, const struct smp_answer *answer, int error);

/* Who is behind port @port of that node? */
static void ask_behind(struct reader *reader, uint32_t index, uint8_t port)
{
	const struct read_node *node = &reader->fabric->nodes[index];
	struct ask ask = {
	        .request = {.method = SMP_GET, .attribute = SMP_NODE_INFO},
	        .done = node_found,
	        .context = reader,
	        .index = index,
	        .port = port,
	};

	if (node->ports[port].peer != READ_NOBODY)
		return;
	if (smp_route_extend(&node->route, port, &ask.request.route))
		fail(reader, -E2BIG, "no directed route is long enough for this fabric");
	else if (umad_window_post(reader->window, &ask))
		fail_memory(reader);
}

/* Behind each linked port of a switch, and of the own CA the own port. */
static enum ask_verdict port_read(const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct reader *reader = ask->context;
	struct fabric_read *fabric = reader->fabric;
	struct read_node *node = &fabric->nodes[ask->index];
	uint8_t port = (uint8_t)ask->request.modifier;
	struct smp_port_info info;

	if (!is_answered(reader, ask, answer, error))
		return ASK_DONE;
	note_port(node, port, answer->data);
	smp_port_info_decode(answer->data, &info);
	if (port == 0 || info.state <= SMP_PORT_DOWN)
		return ASK_DONE;
	if (node->type == SMP_NODE_SWITCH ||
	        (ask->index == fabric->own && port == fabric->own_port))
		ask_behind(reader, ask->index, port);
	return ASK_DONE;
}

static enum ask_verdict switch_read(
        const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct reader *reader = ask->context;
	struct read_node *node = &reader->fabric->nodes[ask->index];
	struct smp_switch_info info;

	if (!is_answered(reader, ask, answer, error))
		return ASK_DONE;
	smp_switch_info_decode(answer->data, &info);
	node->lft_top = info.lft_top;
	node->lft_cap = info.lft_cap;
	if (!reader->settings->with_lfts)
		return ASK_DONE;
	if (fabric_read_make_lft(node, node->lft_top)) {
		fail_memory(reader);
		return ASK_DONE;
	}
	for (uint32_t block = 0; block < node->lft_entries / LFT_BLOCK_LIDS; block++)
		ask_node(reader, ask->index, SMP_LFT, block, lft_read);
	return ASK_DONE;
}

static enum ask_verdict description_read(
        const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct reader *reader = ask->context;

	if (is_answered(reader, ask, answer, error))
		smp_description_decode(answer->data, reader->fabric->nodes[ask->index].description);
	return ASK_DONE;
}

/* Everything else about a node that has just been found, by its port @info->local_port. */
static void ask_all(struct reader *reader, uint32_t index, const struct smp_node_info *info)
{
	ask_node(reader, index, SMP_NODE_DESCRIPTION, 0, description_read);
	if (info->type != SMP_NODE_SWITCH) {
		ask_node(reader, index, SMP_PORT_INFO, info->local_port, port_read);
		return;
	}
	for (uint32_t port = 0; port <= info->ports; port++)
		ask_node(reader, index, SMP_PORT_INFO, port, port_read);
	ask_node(reader, index, SMP_SWITCH_INFO, 0, switch_read);
}

/* A CA found by another of its ports: that one's own PortInfo. */
static void ask_another_port(
        struct reader *reader, uint32_t index, const struct ask *from, uint8_t port)
{
	struct ask ask = {
	        .request = {.route = from->request.route,
	                .method = SMP_GET,
	                .attribute = SMP_PORT_INFO,
	                .modifier = port},
	        .done = port_read,
	        .context = reader,
	        .index = index,
	};

	if (umad_window_post(reader->window, &ask))
		fail_memory(reader);
}

static void join(struct reader *reader, const struct ask *ask, uint32_t index,
        const struct smp_node_info *info)
{
	struct fabric_read *fabric = reader->fabric;

	if (ask->index == READ_NOBODY) {
		fabric->own = index;
		fabric->own_port = info->local_port;
	} else if (fabric_read_join(fabric, ask->index, ask->port, index, info->local_port)) {
		fail(reader, -EEXIST,
		        "node GUID 0x%016llx, port %u shows up behind port %u of 0x%016llx and "
		        "elsewhere",
		        (unsigned long long)info->node_guid, info->local_port, ask->port,
		        (unsigned long long)fabric->nodes[ask->index].guid);
	}
}

static bool is_same_node(const struct read_node *node, const struct smp_node_info *info)
{
	return node->type == info->type && node->port_count == info->ports;
}

static void node_take(
        struct reader *reader, const struct ask *ask, const struct smp_node_info *info)
{
	struct read_node *known = fabric_read_find(reader->fabric, info->node_guid);
	uint32_t index = known ? (uint32_t)(known - reader->fabric->nodes)
	                       : fabric_read_add(reader->fabric, info, &ask->request.route);

	if (index == READ_NOBODY) {
		fail_memory(reader);
		return;
	}
	if (known && !is_same_node(known, info)) {
		fail(reader, -EEXIST, "two different nodes have the GUID 0x%016llx",
		        (unsigned long long)info->node_guid);
		return;
	}
	if (info->type != SMP_NODE_SWITCH)
		reader->fabric->nodes[index].ports[info->local_port].guid = info->port_guid;
	else
		reader->fabric->nodes[index].ports[0].guid = info->port_guid;
	join(reader, ask, index, info);
	if (reader->error)
		return;
	if (!known)
		ask_all(reader, index, info);
	else if (info->type != SMP_NODE_SWITCH &&
	         !reader->fabric->nodes[index].ports[info->local_port].has_info)
		ask_another_port(reader, index, ask, info->local_port);
}

static void fail_behind(struct reader *reader, const struct ask *ask)
{
	const struct read_node *node;

	if (ask->index == READ_NOBODY) {
		fail(reader, -EHOSTUNREACH, "the own port does not answer NodeInfo");
		return;
	}
	node = &reader->fabric->nodes[ask->index];
	fail(reader, -EHOSTUNREACH,
	        "what is behind port %u of %s 0x%016llx \"%s\", whose link is up, does not answer "
	        "NodeInfo",
	        ask->port, kind_of(node), (unsigned long long)node->guid, node->description);
}

static enum ask_verdict node_found(
        const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct reader *reader = ask->context;
	struct smp_node_info info;

	if (error == -ECANCELED || reader->error)
		return ASK_DONE;
	if (!answer || answer->status || smp_node_info_decode(answer->data, &info) ||
	        (info.type != SMP_NODE_SWITCH && info.local_port == 0))
		fail_behind(reader, ask);
	else
		node_take(reader, ask, &info);
	return ASK_DONE;
}

static int run(struct reader *reader, uint64_t deadline_ns)
{
	int error = umad_window_run(reader->window, deadline_ns);

	if (error == -ETIMEDOUT)
		snprintf(reader->why, READ_WHY_BYTES, "not finished by the deadline");
	else if (error)
		snprintf(reader->why, READ_WHY_BYTES, "the umad port does not send any more");
	return error ? error : reader->error;
}

int fabric_read_umad(struct umad_window *window, const struct read_settings *settings,
        struct fabric_read **fabric, char why[READ_WHY_BYTES])
{
	struct reader reader = {.window = window, .settings = settings, .why = why};
	struct ask own = {
	        .request = {.method = SMP_GET, .attribute = SMP_NODE_INFO},
	        .done = node_found,
	        .context = &reader,
	        .index = READ_NOBODY,
	};
	int error;

	reader.fabric = fabric_read_create();
	error = reader.fabric ? umad_window_post(window, &own) : -ENOMEM;
	if (error)
		snprintf(why, READ_WHY_BYTES, "out of memory");
	else
		error = run(&reader, settings->deadline_ns);
	if (error) {
		fabric_read_destroy(reader.fabric);
		return error;
	}
	*fabric = reader.fabric;
	return 0;
}

struct smp_route fabric_read_route(const struct read_node *node, bool by_lid)
{
	struct smp_route route = {0};
	struct smp_port_info info;

	if (!by_lid || node->type != SMP_NODE_SWITCH || !node->ports[0].has_info)
		return node->route;
	smp_port_info_decode(node->ports[0].info, &info);
	route.lid = info.lid;
	return info.lid ? route : node->route;
}

static enum ask_verdict port_read_again(
        const struct ask *ask, const struct smp_answer *answer, int error)
{
	struct reader *reader = ask->context;

	if (is_answered(reader, ask, answer, error))
		note_port(&reader->fabric->nodes[ask->index], ask->request.modifier, answer->data);
	return ASK_DONE;
}

static int ask_again(struct reader *reader, const struct read_wish *wish, bool by_lid)
{
	struct read_node *node = &reader->fabric->nodes[wish->node];
	struct ask ask = {
	        .request = {.route = fabric_read_route(node, by_lid),
	                .method = SMP_GET,
	                .attribute = wish->attribute,
	                .modifier = wish->modifier},
	        .done = wish->attribute == SMP_LFT ? lft_read : port_read_again,
	        .context = reader,
	        .index = wish->node,
	};

	if (wish->attribute == SMP_LFT && !node->lft && fabric_read_make_lft(node, node->lft_top))
		return -ENOMEM;
	return umad_window_post(reader->window, &ask);
}

int fabric_read_again(struct umad_window *window, struct fabric_read *fabric,
        const struct read_wish *wishes, uint32_t count, bool by_lid, uint64_t deadline_ns,
        char why[READ_WHY_BYTES])
{
	struct reader reader = {.window = window, .fabric = fabric, .why = why};

	for (uint32_t i = 0; i < count; i++)
		if (ask_again(&reader, &wishes[i], by_lid)) {
			snprintf(why, READ_WHY_BYTES, "out of memory");
			umad_window_cancel(window);
			return -ENOMEM;
		}
	return run(&reader, deadline_ns);
}
