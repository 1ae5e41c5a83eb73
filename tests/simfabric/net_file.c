/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/net_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "simfabric/net_lines.h"

/* The port that @cable of @port leads to; both sides must name each other. */
static int connect_port(struct net_parser *p, const struct net_node *node, uint32_t port)
{
	const struct net_cable *cable = &p->cables[port], *back;
	const struct net_node *peer;
	uint32_t found = net_parser_find(p, cable->peer);
	uint32_t number = port - node->first_port + (node->kind != NODE_SWITCH);
	uint32_t at;

	p->line = cable->line;
	if (found == NO_INDEX)
		return net_fail(p, "there is no node \"%s\"", cable->peer);
	peer = &p->net->nodes[found];
	if (cable->peer_port > peer->ports)
		return net_fail(p, "\"%s\" has ports 1 to %u", peer->name, peer->ports);
	at = peer->first_port + cable->peer_port - (peer->kind != NODE_SWITCH);
	back = &p->cables[at];
	if (strcmp(back->peer, node->name) || back->peer_port != number)
		return net_fail(p, "port %u of \"%s\" does not lead back to port %u of \"%s\"",
		        cable->peer_port, peer->name, number, node->name);
	if (at == port)
		return net_fail(p, "a cable from port %u of \"%s\" to itself", number, node->name);
	p->net->ports[port].peer = at;
	return 0;
}

static int connect_ports(struct net_parser *p)
{
	for (uint32_t n = 0; n < p->net->node_count; n++) {
		const struct net_node *node = &p->net->nodes[n];
		uint32_t count = node->ports + (node->kind == NODE_SWITCH);

		for (uint32_t i = node->first_port; i < node->first_port + count; i++) {
			int r = p->cables[i].peer[0] ? connect_port(p, node, i) : 0;

			if (r)
				return r;
		}
	}
	return 0;
}

/* No other's name, switch or CA. */
static int check_hypervisor(struct net_parser *p, const struct net_hypervisor *h)
{
	const struct net *net = p->net;

	for (const struct net_hypervisor *other = net->hypervisors; other < h; other++) {
		if (!strcmp(other->name, h->name))
			return net_fail(p, "there is a hypervisor \"%s\" already", h->name);
		if (h->vswitch != NO_INDEX && other->vswitch == h->vswitch)
			return net_fail(p, "\"%s\" is another hypervisor's vSwitch",
			        net->nodes[h->vswitch].name);
		if (h->vswitch == NO_INDEX && other->pf == h->pf)
			return net_fail(
			        p, "\"%s\" is another hypervisor's PF", net->nodes[h->pf].name);
	}
	return 0;
}

static int resolve_hypervisor(
        struct net_parser *p, const struct net_hypervisor_line *line, struct net_hypervisor *h)
{
	const struct net *net = p->net;

	memcpy(h->name, line->name, sizeof(h->name));
	h->shared_vfs = line->shared_vfs;
	h->is_dynamic = line->is_dynamic;
	h->vswitch = line->shared_vfs ? NO_INDEX : net_parser_find(p, line->vswitch);
	h->pf = net_parser_find(p, line->pf);
	if (!h->shared_vfs &&
	        (h->vswitch == NO_INDEX || net->nodes[h->vswitch].kind != NODE_SWITCH))
		return net_fail(p, "there is no switch \"%s\"", line->vswitch);
	if (h->pf == NO_INDEX || net->nodes[h->pf].kind != NODE_CA || !net->nodes[h->pf].ports)
		return net_fail(p, "there is no CA \"%s\"", line->pf);
	return check_hypervisor(p, h);
}

static int resolve_hypervisors(struct net_parser *p)
{
	struct net *net = p->net;
	int r = 0;

	if (!net->hypervisor_count)
		return 0;
	net->hypervisors = calloc(net->hypervisor_count, sizeof(*net->hypervisors));
	if (!net->hypervisors)
		return -ENOMEM;
	for (uint32_t i = 0; i < net->hypervisor_count && !r; i++) {
		p->line = p->hypervisors[i].line;
		r = resolve_hypervisor(p, &p->hypervisors[i], &net->hypervisors[i]);
	}
	return r;
}

static int compare_guids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int check_guids(struct net_parser *p)
{
	CLEANUP_FREE uint64_t *guids = calloc(p->net->node_count + 1, sizeof(*guids));

	if (!guids)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->net->node_count; i++)
		guids[i] = p->net->nodes[i].guid;
	qsort(guids, p->net->node_count, sizeof(*guids), compare_guids);
	for (uint32_t i = 1; i < p->net->node_count; i++) {
		if (guids[i] == guids[i - 1])
			return net_fail(p, "two nodes with GUID 0x%016" PRIx64, guids[i]);
	}
	return 0;
}

static int parse(struct net_parser *p, const char *text, size_t bytes)
{
	int r = net_parse_lines(p, text, bytes);

	if (!r)
		r = connect_ports(p);
	if (!r)
		r = resolve_hypervisors(p);
	if (!r)
		r = check_guids(p);
	if (!r && !p->net->node_count)
		r = net_fail(p, "no node in this file");
	return r;
}

int net_parse(const char *name, const char *text, size_t bytes, struct net **net, char *error,
        size_t error_bytes)
{
	struct net_parser p = {
	        .file = name,
	        .error = error,
	        .error_bytes = error_bytes,
	        .guid_base = {[NODE_CA] = 0x100000, [NODE_SWITCH] = 0x200000},
	        .guid_next = {[NODE_CA] = 0x100000, [NODE_SWITCH] = 0x200000},
	        .width = NET_WIDTH_4X,
	        .speed = NET_SPEED_SDR,
	};
	int r = -ENOMEM;

	p.net = calloc(1, sizeof(*p.net));
	p.buckets = malloc(NET_NAME_BUCKETS * sizeof(*p.buckets));
	if (p.net && p.buckets) {
		memset(p.buckets, 0xff, NET_NAME_BUCKETS * sizeof(*p.buckets));
		p.net->mtu_cap = NET_MTU_2048;
		p.net->oper_vls = NET_VLS_ALL;
		r = parse(&p, text, bytes);
	}
	if (r == -ENOMEM)
		snprintf(error, error_bytes, "%s: out of memory", name);
	if (r)
		net_destroy(p.net);
	else
		*net = p.net;
	free(p.buckets);
	free(p.next);
	free(p.cables);
	free(p.hypervisors);
	return r;
}

static int read_whole(FILE *file, char **text, size_t *bytes)
{
	size_t space = 0;

	*bytes = 0;
	for (;;) {
		char *bigger;
		size_t got;

		if (*bytes == space) {
			space = space ? 2 * space : 1 << 16;
			bigger = realloc(*text, space);
			if (!bigger)
				return -ENOMEM;
			*text = bigger;
		}
		got = fread(*text + *bytes, 1, space - *bytes, file);
		if (!got)
			return ferror(file) ? -EIO : 0;
		*bytes += got;
	}
}

int net_file_read(const char *path, struct net **net, char *error, size_t error_bytes)
{
	CLEANUP_FREE char *text = NULL;
	FILE *file = fopen(path, "re");
	size_t bytes = 0;
	int r = file ? read_whole(file, &text, &bytes) : -errno;

	if (file)
		fclose(file);
	if (r) {
		snprintf(error, error_bytes, "%s: %s", path, strerror(-r));
		return r;
	}
	return net_parse(path, text, bytes, net, error, error_bytes);
}

void net_destroy(struct net *net)
{
	if (!net)
		return;
	free(net->nodes);
	free(net->ports);
	free(net->hypervisors);
	free(net);
}

uint64_t net_port_guid(const struct net_node *node, unsigned number)
{
	return node->kind == NODE_SWITCH ? node->guid : node->guid + number;
}
