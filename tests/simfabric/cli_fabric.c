/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "simfabric/attach.h"
#include "simfabric/cli.h"
#include "simfabric/clients.h"
#include "simfabric/event_heap.h"
#include "simfabric/fault_points.h"
#include "simfabric/forward.h"
#include "simfabric/links.h"
#include "simfabric/mailbox.h"
#include "simfabric/net_file.h"
#include "simfabric/topology.h"
#include "simfabric/traps.h"

enum { LOST_PAIRS_SHOWN = 20 };

int cli_create(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"oper-vls", required_argument, NULL, 'v'}, {0}};
	unsigned long oper_vls = 0;
	char error[256], *end = NULL;
	struct net *net;
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return cli_wrong_usage(cli);
		oper_vls = strtoul(optarg, &end, 10);
		if (*end || oper_vls < 1 || oper_vls > 4)
			return cli_fail("--oper-vls is 1 (VL0) to 4 (VL0 to VL7)");
	}
	if (optind + 1 != argc)
		return cli_wrong_usage(cli);
	if (!cli->file)
		return cli_fail("no fabric named: use -f FILE or set SIMFABRIC");
	if (net_file_read(argv[optind], &net, error, sizeof(error)))
		return cli_fail("%s", error);
	if (oper_vls)
		net->oper_vls = (uint8_t)oper_vls;
	r = fabric_create(cli->file, net);
	net_destroy(net);
	return r ? cli_fail("%s: %s", cli->file, strerror(-r)) : CLI_OK;
}

int cli_destroy(struct cli *cli, int argc, char **argv)
{
	int r;

	if (argc != 1)
		return cli_wrong_usage(cli);
	if (!cli->file)
		return cli_fail("no fabric named: use -f FILE or set SIMFABRIC");
	r = fabric_destroy(cli->file);
	return r ? cli_fail("%s: %s", cli->file,
	                   r == -EINVAL ? "not a fabric of this version" : strerror(-r))
	         : CLI_OK;
}

/* libsimfabric.so stands in ../lib, seen from this program. It goes behind what is preloaded. */
static int preload_library(void)
{
	const char *before = getenv("LD_PRELOAD");
	char program[PATH_MAX], library[PATH_MAX], *all;
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;
	int r;

	if (length < 0)
		return -errno;
	program[length] = 0;
	slash = strrchr(program, '/');
	snprintf(slash, program + sizeof(program) - slash, "/../lib/libsimfabric.so");
	if (!realpath(program, library))
		return -errno;
	r = asprintf(&all, "%s%s%s", before && *before ? before : "", before && *before ? ":" : "",
	        library);
	if (r < 0)
		return -ENOMEM;
	r = setenv("LD_PRELOAD", all, 1) ? -errno : 0;
	free(all);
	return r;
}

static int set_place(const struct fabric *fabric, const char *node, const char *vm)
{
	uint32_t index = node ? node_find(fabric, node) : NO_INDEX;

	if (node && (index == NO_INDEX || node_is_switch(&fabric->nodes[index])))
		return cli_fail("there is no CA \"%s\"", node);
	if (vm && vm_find(fabric, vm) == NO_INDEX)
		return cli_fail("there is no VM \"%s\"", vm);
	setenv("SIMFABRIC", fabric->path, 1);
	if (node || vm) {
		unsetenv("SIMFABRIC_NODE");
		unsetenv("SIMFABRIC_VM");
		setenv(node ? "SIMFABRIC_NODE" : "SIMFABRIC_VM", node ? node : vm, 1);
	}
	return CLI_OK;
}

int cli_run(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {
	        {"node", required_argument, NULL, 'n'}, {"vm", required_argument, NULL, 'v'}, {0}};
	const char *node = NULL, *vm = NULL;
	int option, r;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == '?')
			return cli_wrong_usage(cli);
		*(option == 'n' ? &node : &vm) = optarg;
	}
	if (optind == argc || (node && vm))
		return cli_wrong_usage(cli);
	if (set_place(cli->fabric, node, vm))
		return CLI_FAILED;
	r = preload_library();
	if (r)
		return cli_fail("libsimfabric.so: %s", strerror(-r));
	execvp(argv[optind], argv + optind);
	return cli_fail("%s: %s", argv[optind], strerror(errno));
}

static bool wants_json(int argc, char **argv)
{
	return argc == 2 && !strcmp(argv[1], "--json");
}

int cli_clients(struct cli *cli, int argc, char **argv)
{
	bool is_json = wants_json(argc, argv);
	struct json_object *list;
	const struct client *client;

	if (argc != 1 && !is_json)
		return cli_wrong_usage(cli);
	list = json_object_new_array();
	fabric_lock(cli->fabric);
	clients_reap(cli->fabric);
	for (uint32_t i = 0; (client = client_row(cli->fabric, i)); i++) {
		struct json_object *row;

		if (!client->is_used)
			continue;
		if (!is_json) {
			printf("%-8d %-16s %s\n", client->pid, client->program, client->place);
			continue;
		}
		row = json_object_new_object();
		json_put_number(row, "pid", client->pid);
		json_put_string(row, "program", client->program);
		json_put_string(row, "place", client->place);
		json_object_array_add(list, row);
	}
	fabric_unlock(cli->fabric);
	if (is_json)
		return cli_print_json(list);
	json_object_put(list);
	return CLI_OK;
}

static uint32_t count_mailboxes(const struct fabric *fabric)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MAILBOXES_MAX; i++)
		count += mailbox_at(fabric, i)->is_used != 0;
	return count;
}

static uint32_t count_clients(const struct fabric *fabric)
{
	const struct client *client;
	uint32_t count = 0;

	for (uint32_t i = 0; (client = client_row(fabric, i)); i++)
		count += client->is_used != 0;
	return count;
}

int cli_status(struct cli *cli, int argc, char **argv)
{
	struct json_object *status = json_object_new_object();
	bool is_json = wants_json(argc, argv);

	if (argc != 1 && !is_json)
		return cli_wrong_usage(cli);
	fabric_lock(cli->fabric);
	clients_reap(cli->fabric);
	json_put_number(status, "nodes", node_count(cli->fabric));
	json_put_number(status, "switches", switch_count(cli->fabric));
	json_put_number(status, "clients", count_clients(cli->fabric));
	json_put_number(status, "mailboxes", count_mailboxes(cli->fabric));
	json_put_number(status, "message_chunks", message_chunks_used(cli->fabric));
	json_put_number(status, "events", events_waiting(cli->fabric));
	json_put_number(status, "traps", traps_outstanding(cli->fabric));
	json_put_number(status, "recoveries", cli->fabric->head->recoveries);
	fabric_unlock(cli->fabric);
	if (is_json)
		return cli_print_json(status);
	json_object_object_foreach(status, name, value)
	{
		printf("%-16s %s\n", name, json_object_get_string(value));
	}
	json_object_put(status);
	return CLI_OK;
}

/* A CA's port that a subnet manager has given a LID. */
static bool is_checked(const struct fabric *fabric, uint32_t index)
{
	const struct port *port = &fabric->ports[index];

	return port_lid(port) && !node_is_switch(&fabric->nodes[port->node]);
}

static void note_lost(
        const struct fabric *fabric, struct json_object *list, uint32_t from, uint32_t to, int why)
{
	struct json_object *pair;

	if (json_object_array_length(list) >= LOST_PAIRS_SHOWN)
		return;
	pair = json_object_new_object();
	json_put_string(pair, "from", fabric->nodes[fabric->ports[from].node].name);
	json_put_string(pair, "to", fabric->nodes[fabric->ports[to].node].name);
	json_put_number(pair, "lid", port_lid(&fabric->ports[to]));
	json_put_string(pair, "why", strerror(-why));
	json_object_array_add(list, pair);
}

/* One row of pairs: @from to every checked port. */
static void check_from(const struct fabric *fabric, uint32_t from, uint64_t *delivered,
        uint64_t *lost, struct json_object *list)
{
	for (uint32_t i = 0; i < port_count(fabric); i++) {
		uint32_t to = NO_INDEX;
		int r;

		if (i == from || !is_checked(fabric, i))
			continue;
		r = forward_unicast(fabric, from, port_lid(&fabric->ports[i]), &to, NULL);
		if (!r && to != i)
			r = -ENOTUNIQ;
		if (!r) {
			++*delivered;
			continue;
		}
		++*lost;
		note_lost(fabric, list, from, i, r);
	}
}

int cli_check(struct cli *cli, int argc, char **argv)
{
	struct json_object *result = json_object_new_object(), *list = json_object_new_array();
	uint64_t delivered = 0, lost = 0, without_lid = 0;
	bool is_json = wants_json(argc, argv);

	if (argc != 1 && !is_json)
		return cli_wrong_usage(cli);
	for (uint32_t i = 0; i < port_count(cli->fabric); i++) {
		const struct port *port = &cli->fabric->ports[i];

		if (is_checked(cli->fabric, i))
			check_from(cli->fabric, i, &delivered, &lost, list);
		else if (port->peer != NO_INDEX && !node_is_switch(&cli->fabric->nodes[port->node]))
			without_lid++;
	}
	json_put_number(result, "delivered", delivered);
	json_put_number(result, "lost", lost);
	json_put_number(result, "ports_without_lid", without_lid);
	json_object_object_add(result, "first_lost", list);
	if (is_json) {
		cli_print_json(result);
	} else {
		printf("%lu pairs delivered, %lu lost, %lu CA ports without a LID\n", delivered,
		        lost, without_lid);
		if (lost)
			printf("%s\n",
			        json_object_to_json_string_ext(list, JSON_C_TO_STRING_SPACED));
		json_object_put(result);
	}
	return lost || without_lid || !delivered ? CLI_FAILED : CLI_OK;
}

int cli_link(struct cli *cli, int argc, char **argv)
{
	uint32_t node, port;
	unsigned long number;
	char *end;

	if (argc != 4 || (strcmp(argv[3], "up") && strcmp(argv[3], "down")))
		return cli_wrong_usage(cli);
	node = node_find(cli->fabric, argv[1]);
	if (node == NO_INDEX)
		return cli_fail("there is no node \"%s\"", argv[1]);
	number = strtoul(argv[2], &end, 10);
	port = *end || !number || number > NET_MAX_PORTS
	               ? NO_INDEX
	               : node_port(cli->fabric, node, (unsigned)number);
	if (port == NO_INDEX || cli->fabric->ports[port].peer == NO_INDEX)
		return cli_fail("\"%s\" has no cable at port %s", argv[1], argv[2]);
	fabric_lock(cli->fabric);
	link_plug(cli->fabric, port, !strcmp(argv[3], "up"));
	fabric_unlock(cli->fabric);
	return CLI_OK;
}

int cli_fault_points(struct cli *cli, int argc, char **argv)
{
	if (argc != 1)
		return cli_wrong_usage(cli);
	for (enum fault_point p = FAULT_POINT_NONE + 1; p < FAULT_POINT_COUNT; p++)
		printf("%-26s %s\n", fault_point_name(p), fault_point_meaning(p));
	return CLI_OK;
}
