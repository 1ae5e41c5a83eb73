/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/cli.h"
#include "simfabric/counters.h"
#include "simfabric/data_faults.h"
#include "simfabric/gmp_kinds.h"
#include "simfabric/mad_faults.h"
#include "simfabric/mad_fields.h"
#include "simfabric/topology.h"

enum { NS_PER_US = 1000 };

static const struct option options[] = {{"attribute", required_argument, NULL, 'a'},
        {"class", required_argument, NULL, 'c'}, {"method", required_argument, NULL, 'm'},
        {"node", required_argument, NULL, 'n'}, {"direction", required_argument, NULL, 'd'},
        {"chance", required_argument, NULL, 'p'}, {"seed", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'N'}, {"us", required_argument, NULL, 'u'},
        {"us-per-hop", required_argument, NULL, 'h'}, {"kind", required_argument, NULL, 'k'},
        {"per-message", no_argument, NULL, 'M'}, {0}};

static bool parse_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	return !errno && end != text && !*end && *text != '-' && *number <= most;
}

static bool parse_direction(const char *text, uint32_t *directions)
{
	if (!strcmp(text, "request"))
		*directions = MAD_REQUEST;
	else if (!strcmp(text, "response"))
		*directions = MAD_RESPONSE;
	else if (!strcmp(text, "both"))
		*directions = MAD_REQUEST | MAD_RESPONSE;
	else
		return false;
	return true;
}

static bool parse_method(const char *text, uint8_t *method)
{
	uint64_t number;

	if (!strcmp(text, "get"))
		*method = METHOD_SUBN_GET;
	else if (!strcmp(text, "set"))
		*method = METHOD_SUBN_SET;
	else if (parse_number(text, UINT8_MAX, &number))
		*method = number;
	else
		return false;
	return true;
}

static bool parse_chance(const char *text, uint32_t *chance)
{
	char *end;
	double p = strtod(text, &end);

	if (end == text || *end || !(p >= 0 && p <= 1))
		return false;
	*chance = (uint32_t)lround(p * MAD_FAULT_CERTAIN);
	return true;
}

static bool parse_kind(const char *name, struct mad_fault *rule)
{
	const struct gmp_kind *kind = gmp_kind_by_name(name);

	if (!kind)
		return false;
	rule->mgmt_class = kind->mgmt_class;
	rule->method = kind->method;
	rule->attribute = kind->attribute;
	return true;
}

static bool parse_option(
        const struct fabric *fabric, int option, const char *value, struct mad_fault *rule)
{
	uint64_t number = 0;
	bool is_right = true;

	switch (option) {
	case 'a':
		return !smp_attribute_parse(value, &rule->attribute);
	case 'm':
		return parse_method(value, &rule->method);
	case 'd':
		return parse_direction(value, &rule->directions);
	case 'M':
		rule->is_per_message = true;
		return true;
	case 'k':
		return parse_kind(value, rule);
	case 'p':
		return parse_chance(value, &rule->chance);
	case 'n':
		rule->node = node_find(fabric, value);
		return rule->node != NO_INDEX;
	case 's':
		return parse_number(value, UINT64_MAX, &rule->state);
	case 'c':
		is_right = parse_number(value, UINT8_MAX, &number);
		rule->mgmt_class = number;
		return is_right;
	case 'N':
		is_right = parse_number(value, UINT32_MAX - 1, &number);
		rule->left = number;
		return is_right;
	case 'u':
	case 'h':
		is_right = parse_number(value, UINT32_MAX, &number);
		*(option == 'u' ? &rule->delay_ns : &rule->per_hop_ns) = number * NS_PER_US;
		return is_right;
	}
	return false;
}

static int add_rule(struct cli *cli, enum mad_fault_kind kind, int argc, char **argv)
{
	struct mad_fault rule = {
	        .kind = kind,
	        .directions = kind == MAD_FAULT_DROP ? MAD_REQUEST | MAD_RESPONSE : MAD_REQUEST,
	        .node = NO_INDEX,
	        .chance = MAD_FAULT_CERTAIN,
	        .left = UINT32_MAX,
	        .state = 1,
	};
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return cli_wrong_usage(cli);
		if (!parse_option(cli->fabric, option, optarg, &rule))
			return cli_fail("%s is no such value", optarg);
	}
	if (optind != argc)
		return cli_wrong_usage(cli);
	if (kind == MAD_FAULT_DELAY && !rule.delay_ns && !rule.per_hop_ns)
		return cli_fail("a delay needs --us or --us-per-hop");
	if (kind != MAD_FAULT_DROP && rule.directions != MAD_REQUEST)
		return cli_fail("what a node itself answers is neither delayed nor doubled");
	if (kind == MAD_FAULT_DUPLICATE && !rule.mgmt_class)
		return cli_fail("SMPs are not doubled: say --class or --kind");
	fabric_lock(cli->fabric);
	r = mad_fault_add(cli->fabric, &rule);
	fabric_unlock(cli->fabric);
	return r < 0 ? cli_fail("more than %d rules", MAD_FAULTS_MAX) : CLI_OK;
}

static const char *kind_name(uint32_t kind)
{
	return kind == MAD_FAULT_DROP ? "drop" : kind == MAD_FAULT_DELAY ? "delay" : "duplicate";
}

static struct json_object *describe(const struct fabric *fabric, const struct mad_fault *rule)
{
	struct json_object *row = json_object_new_object();

	json_put_string(row, "kind", kind_name(rule->kind));
	json_put_bool(row, "requests", rule->directions & MAD_REQUEST);
	json_put_bool(row, "responses", rule->directions & MAD_RESPONSE);
	json_put_number(row, "class", rule->mgmt_class);
	json_put_number(row, "attribute", rule->attribute);
	json_put_number(row, "method", rule->method);
	json_put_string(
	        row, "node", rule->node == NO_INDEX ? NULL : fabric->nodes[rule->node].name);
	json_put_number(row, "chance_in_a_million", rule->chance);
	json_put_number(row, "us", rule->delay_ns / NS_PER_US);
	json_put_number(row, "us_per_hop", rule->per_hop_ns / NS_PER_US);
	json_put_number(row, "hits", rule->hits);
	return row;
}

static int list_rules(struct fabric *fabric, bool is_json)
{
	struct json_object *list = json_object_new_array();
	const struct mad_fault *rule;

	fabric_lock(fabric);
	for (uint32_t i = 0; (rule = mad_fault_row(fabric, i)); i++)
		json_object_array_add(list, describe(fabric, rule));
	fabric_unlock(fabric);
	if (is_json)
		return cli_print_json(list);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		puts(json_object_to_json_string_ext(
		        json_object_array_get_idx(list, i), JSON_C_TO_STRING_SPACED));
	json_object_put(list);
	return CLI_OK;
}

/* @row: by the order in which they are listed, from 0. NULL: all. */
static int clear_rules(struct fabric *fabric, const char *row)
{
	char *end = NULL;
	unsigned long number = row ? strtoul(row, &end, 10) : 0;
	int r = 0;

	if (row && (!*row || *end || number >= MAD_FAULTS_MAX))
		return cli_fail("%s is no rule's number", row);
	fabric_lock(fabric);
	if (row)
		r = mad_fault_end(fabric, (uint32_t)number);
	else
		mad_faults_clear(fabric);
	fabric_unlock(fabric);
	return r ? cli_fail("there is no rule %s", row) : CLI_OK;
}

int cli_fault(struct cli *cli, int argc, char **argv)
{
	bool is_json = argc == 3 && !strcmp(argv[2], "--json");

	if (argc >= 2 && !strcmp(argv[1], "drop"))
		return add_rule(cli, MAD_FAULT_DROP, argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], "delay"))
		return add_rule(cli, MAD_FAULT_DELAY, argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], "duplicate"))
		return add_rule(cli, MAD_FAULT_DUPLICATE, argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], "list") && (argc == 2 || is_json))
		return list_rules(cli->fabric, is_json);
	if (argc < 2 || argc > 3 || strcmp(argv[1], "clear"))
		return cli_wrong_usage(cli);
	return clear_rules(cli->fabric, argv[2]);
}

int cli_data_fault(struct cli *cli, int argc, char **argv)
{
	int r = 0, i;

	if (argc < 2)
		return cli_wrong_usage(cli);
	fabric_lock(cli->fabric);
	for (i = 1; i < argc && !r; i++)
		r = data_faults_set(data_faults_of(cli->fabric), argv[i]);
	fabric_unlock(cli->fabric);
	return r ? cli_fail("%s: %s", argv[i - 1], strerror(-r)) : CLI_OK;
}
