/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "simfabric/attach.h"
#include "simfabric/cli.h"
#include "simfabric/counters.h"
#include "simfabric/data_faults.h"
#include "simfabric/gmp_kinds.h"
#include "simfabric/topology.h"

static void add_up(struct node_counts *sum, const struct node_counts *counts)
{
	for (unsigned a = 0; a < SMP_ATTRIBUTE_COUNT; a++) {
		const struct smp_counts *c = &counts->by_attribute[a];

		sum->by_attribute[a].get += c->get;
		sum->by_attribute[a].set += c->set;
		sum->by_attribute[a].changed += c->changed;
		sum->by_attribute[a].other += c->other;
		sum->by_attribute[a].dropped += c->dropped;
	}
	sum->lids_changed += counts->lids_changed;
}

static bool is_zero(const struct smp_counts *c)
{
	return !c->get && !c->set && !c->other && !c->dropped;
}

static bool is_idle(const struct node_counts *counts)
{
	for (unsigned a = 0; a < SMP_ATTRIBUTE_COUNT; a++) {
		if (!is_zero(&counts->by_attribute[a]))
			return false;
	}
	return true;
}

static struct json_object *describe(const struct node_counts *counts)
{
	struct json_object *object = json_object_new_object();

	for (unsigned a = 0; a < SMP_ATTRIBUTE_COUNT; a++) {
		const struct smp_counts *c = &counts->by_attribute[a];
		struct json_object *row;

		if (is_zero(c))
			continue;
		row = json_object_new_object();
		json_put_number(row, "get", c->get);
		json_put_number(row, "set", c->set);
		json_put_number(row, "changed", c->changed);
		json_put_number(row, "other", c->other);
		json_put_number(row, "dropped", c->dropped);
		json_object_object_add(object, smp_attribute_name(a), row);
	}
	json_put_number(object, "lids_changed", counts->lids_changed);
	return object;
}

static bool is_vswitch(const struct fabric *fabric, uint32_t node)
{
	const struct hypervisor *h;

	for (uint32_t i = 0; (h = hypervisor_row(fabric, i)); i++) {
		if (h->vswitch == node)
			return true;
	}
	return false;
}

static struct json_object *describe_node(const struct fabric *fabric, uint32_t node)
{
	struct json_object *object = describe(counters_of_node(fabric, node));

	json_put_string(object, "kind",
	        !node_is_switch(&fabric->nodes[node]) ? "ca"
	        : is_vswitch(fabric, node)            ? "vswitch"
	                                              : "switch");
	return object;
}

static struct json_object *describe_gmps(const struct fabric *fabric)
{
	struct json_object *list = json_object_new_array();
	const struct gmp_counts *gmp;
	const struct gmp_kind *kind;

	for (uint32_t i = 0; (gmp = counters_gmp_row(fabric, i)); i++) {
		struct json_object *row = json_object_new_object();

		kind = gmp_kind_of(gmp->mgmt_class, gmp->method, gmp->attribute);
		json_put_string(row, "kind", kind ? kind->name : NULL);
		json_put_number(row, "class", gmp->mgmt_class);
		json_put_number(row, "method", gmp->method);
		json_put_number(row, "attribute", gmp->attribute);
		json_put_number(row, "delivered", gmp->delivered);
		json_put_number(row, "lost", gmp->lost);
		json_put_number(row, "dropped", gmp->dropped);
		json_put_number(row, "delayed", gmp->delayed);
		json_put_number(row, "duplicated", gmp->duplicated);
		json_object_array_add(list, row);
	}
	return list;
}

static struct json_object *describe_packets(const struct data_faults *faults)
{
	struct json_object *kinds = json_object_new_object();

	for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
		struct json_object *row = json_object_new_object();

		json_put_number(row, "seen", faults->packets[kind].seen);
		json_put_number(row, "lost", faults->packets[kind].lost);
		json_object_object_add(kinds, packet_kind_name(kind), row);
	}
	return kinds;
}

static struct json_object *describe_all(const struct fabric *fabric)
{
	struct json_object *object = json_object_new_object(), *nodes = json_object_new_object();
	struct node_counts sum = {0};

	for (uint32_t i = 0; i < node_count(fabric); i++) {
		if (is_idle(counters_of_node(fabric, i)))
			continue;
		add_up(&sum, counters_of_node(fabric, i));
		json_object_object_add(nodes, fabric->nodes[i].name, describe_node(fabric, i));
	}
	json_object_object_add(object, "total", describe(&sum));
	json_object_object_add(object, "nodes", nodes);
	json_object_object_add(object, "gmps", describe_gmps(fabric));
	json_object_object_add(object, "packets", describe_packets(data_faults_of(fabric)));
	return object;
}

static void print_total(const struct fabric *fabric)
{
	struct node_counts sum = {0};

	for (uint32_t i = 0; i < node_count(fabric); i++)
		add_up(&sum, counters_of_node(fabric, i));
	printf("%-26s %10s %10s %10s %10s %10s\n", "", "Get", "Set", "changed", "other", "dropped");
	for (unsigned a = 0; a < SMP_ATTRIBUTE_COUNT; a++) {
		const struct smp_counts *c = &sum.by_attribute[a];

		if (!is_zero(c))
			printf("%-26s %10u %10u %10u %10u %10u\n", smp_attribute_name(a), c->get,
			        c->set, c->changed, c->other, c->dropped);
	}
	printf("%u LIDs changed\n", sum.lids_changed);
}

int cli_counters(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
	        {"json", no_argument, NULL, 'j'}, {"reset", no_argument, NULL, 'r'}, {0}};
	bool is_json = false, is_reset = false;
	struct json_object *all = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return cli_wrong_usage(cli);
		*(option == 'j' ? &is_json : &is_reset) = true;
	}
	if (optind != argc)
		return cli_wrong_usage(cli);
	fabric_lock(cli->fabric);
	if (is_json)
		all = describe_all(cli->fabric);
	else if (!is_reset)
		print_total(cli->fabric);
	if (is_reset)
		counters_reset(cli->fabric);
	fabric_unlock(cli->fabric);
	return is_json ? cli_print_json(all) : CLI_OK;
}
