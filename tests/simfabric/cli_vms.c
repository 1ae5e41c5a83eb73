/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/attach.h"
#include "simfabric/cli.h"
#include "simfabric/hca.h"

enum { DETACH_TIMEOUT_MS = 5000 };

static const char *slot_of_vm(const struct fabric *fabric, const struct vm *vm)
{
	return vm->slot ? slot_row(fabric, vm->slot - 1)->name : NULL;
}

static int list_vms(struct fabric *fabric, bool is_json)
{
	struct json_object *list = json_object_new_array();
	const struct vm *vm;

	fabric_lock(fabric);
	for (uint32_t i = 0; (vm = vm_row(fabric, i)); i++) {
		const char *slot = slot_of_vm(fabric, vm);
		struct json_object *row = json_object_new_object();

		json_put_string(row, "vm", vm->name);
		json_put_string(row, "slot", slot);
		json_object_array_add(list, row);
		if (!is_json)
			printf("%-20s %s\n", vm->name, slot ? slot : "-");
	}
	fabric_unlock(fabric);
	if (is_json)
		return cli_print_json(list);
	json_object_put(list);
	return CLI_OK;
}

static int attach(struct fabric *fabric, const char *vm, const char *slot)
{
	int r = attach_vm(fabric, vm, slot);

	if (r == -ENOENT)
		return cli_fail("there is no %s \"%s\"",
		        vm_find(fabric, vm) == NO_INDEX ? "VM" : "slot",
		        vm_find(fabric, vm) == NO_INDEX ? vm : slot);
	if (r == -EBUSY)
		return cli_fail("VM \"%s\" has a VF, or the VF in \"%s\" has a VM", vm, slot);
	return r ? cli_fail("attach: %s", strerror(-r)) : CLI_OK;
}

static int add_vm(struct fabric *fabric, const char *vm, const char *slot)
{
	int r;

	if (slot && slot_find(fabric, slot) == NO_INDEX)
		return cli_fail("there is no slot \"%s\"", slot);
	r = vm_add(fabric, vm);
	if (r)
		return cli_fail("VM \"%s\": %s", vm, strerror(-r));
	return slot ? attach(fabric, vm, slot) : CLI_OK;
}

int cli_vm(struct cli *cli, int argc, char **argv)
{
	bool is_json = argc == 3 && !strcmp(argv[2], "--json");

	if (argc >= 2 && !strcmp(argv[1], "list") && (argc == 2 || is_json))
		return list_vms(cli->fabric, is_json);
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "add"))
		return add_vm(cli->fabric, argv[2], argc == 4 ? argv[3] : NULL);
	return cli_wrong_usage(cli);
}

int cli_attach(struct cli *cli, int argc, char **argv)
{
	return argc == 3 ? attach(cli->fabric, argv[1], argv[2]) : cli_wrong_usage(cli);
}

int cli_detach(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"surprise", no_argument, NULL, 's'},
	        {"keep-link", no_argument, NULL, 'k'}, {"timeout-ms", required_argument, NULL, 't'},
	        {0}};
	enum detach_kind kind = DETACH_ASK;
	long timeout_ms = DETACH_TIMEOUT_MS;
	int option, r;
	char *end;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return cli_wrong_usage(cli);
		if (option == 's' || option == 'k') {
			kind = option == 's' ? DETACH_SURPRISE : DETACH_KEEP_LINK;
			continue;
		}
		timeout_ms = strtol(optarg, &end, 10);
		if (*end || end == optarg || timeout_ms < 0 || timeout_ms > INT_MAX)
			return cli_wrong_usage(cli);
	}
	if (optind + 1 != argc)
		return cli_wrong_usage(cli);
	r = detach_vm(cli->fabric, argv[optind], kind, (int)timeout_ms);
	if (r == -ENOENT)
		return cli_fail("there is no VM \"%s\"", argv[optind]);
	if (r == -ENODEV)
		return cli_fail("VM \"%s\" has no VF", argv[optind]);
	if (r == -ETIMEDOUT)
		return cli_fail(
		        "VM \"%s\" still holds its VF after %ld ms", argv[optind], timeout_ms);
	return r ? cli_fail("detach: %s", strerror(-r)) : CLI_OK;
}

static bool parse_guid(const char *text, uint64_t *guid)
{
	char *end;

	errno = 0;
	*guid = strtoull(text, &end, 0);
	return !errno && end != text && !*end && *text != '-' && *guid;
}

int cli_guids(struct cli *cli, int argc, char **argv)
{
	uint64_t node_guid, port_guid;
	int r;

	if (argc != 4)
		return cli_wrong_usage(cli);
	if (!parse_guid(argv[2], &node_guid) || !parse_guid(argv[3], &port_guid))
		return cli_fail("a GUID is a number other than 0, as 0x0002c90300123456");
	r = ca_set_guids(cli->fabric, argv[1], node_guid, port_guid);
	if (r == -ENOENT)
		return cli_fail("there is no slot or plain CA \"%s\"", argv[1]);
	if (r == -EBUSY)
		return cli_fail(slot_find(cli->fabric, argv[1]) == NO_INDEX
		                        ? "somebody is on \"%s\""
		                        : "a VM has the VF in \"%s\"",
		        argv[1]);
	return r ? cli_fail("guids: %s", strerror(-r)) : CLI_OK;
}

/* What a program in the VM may see of its device; a destination must offer as much. */
static struct json_object *describe_attributes(const struct fabric *fabric, uint32_t index)
{
	const struct slot *slot = slot_row(fabric, index);
	const struct port *port = &fabric->ports[fabric->nodes[slot->node].first_port];
	struct json_object *attributes = json_object_new_object();

	json_put_number(attributes, "max_qp", slot_max_qp(fabric, index, HCA_MAX_QP));
	json_put_number(attributes, "max_qp_wr", HCA_MAX_WR);
	json_put_number(attributes, "max_sge", HCA_MAX_SGE);
	json_put_number(attributes, "max_cqe", HCA_MAX_CQE);
	json_put_number(attributes, "max_mr", HCA_MAX_MR);
	json_put_number(attributes, "max_mtu", port_info_mtu_cap(port->info));
	json_put_number(attributes, "max_qp_rd_atom", QUEUE_PAIR_MAX_READS);
	json_put_number(attributes, "atomic_cap", IBV_ATOMIC_HCA);
	json_put_number(attributes, "completion_timestamps", true);
	json_put_number(attributes, "device_cap_flags", (uint32_t)HCA_CAPABILITIES);
	return attributes;
}

/* Where its CA hangs; under Shared Port it has none. */
static void describe_vswitch(
        struct json_object *row, const struct fabric *fabric, const struct slot *slot)
{
	const struct hypervisor *h = hypervisor_row(fabric, slot->hypervisor);
	const struct port *port = &fabric->ports[fabric->nodes[slot->node].first_port];

	if (h->vswitch == NO_INDEX)
		return;
	json_put_bool(row, "dynamic", h->is_dynamic);
	json_put_string(row, "vswitch", fabric->nodes[h->vswitch].name);
	json_put_guid(row, "vswitch_guid", fabric->nodes[h->vswitch].guid);
	json_put_number(row, "vswitch_port", fabric->ports[port->peer].number);
}

/* The entry of the port's GUIDInfo table. */
static void describe_alias(
        struct json_object *row, const struct fabric *fabric, const struct slot *slot)
{
	const struct port *port = &fabric->ports[fabric->nodes[slot->node].first_port];

	if (!slot->alias)
		return;
	json_put_number(row, "alias", slot->alias);
	json_put_guid(row, "pf_port_guid", port->guid);
	json_put_number(row, "gid_prefix", port_gid_prefix(port));
}

static struct json_object *describe_slot(const struct fabric *fabric, uint32_t index)
{
	const struct slot *slot = slot_row(fabric, index);
	const struct port *port = &fabric->ports[fabric->nodes[slot->node].first_port];
	struct json_object *row = json_object_new_object();

	json_put_string(row, "slot", slot->name);
	json_put_string(row, "hypervisor", hypervisor_row(fabric, slot->hypervisor)->name);
	describe_vswitch(row, fabric, slot);
	describe_alias(row, fabric, slot);
	json_put_guid(row, "node_guid", slot_node_guid(fabric, index));
	json_put_guid(row, "port_guid", slot_port_guid(fabric, index));
	json_put_number(row, "lid", port_lid(port));
	json_put_string(row, "vm", slot->vm ? vm_row(fabric, slot->vm - 1)->name : NULL);
	json_put_bool(row, "is_asked", slot->is_asked);
	json_object_object_add(row, "attributes", describe_attributes(fabric, index));
	return row;
}

int cli_limit(struct cli *cli, int argc, char **argv)
{
	unsigned long max_qp = 0;
	char *end = NULL;

	if (argc != 3 || strncmp(argv[2], "max_qp=", 7))
		return cli_wrong_usage(cli);
	if (strcmp(argv[2] + 7, "none")) {
		max_qp = strtoul(argv[2] + 7, &end, 10);
		if (*end || !max_qp)
			return cli_wrong_usage(cli);
	}
	return hypervisor_limit(cli->fabric, argv[1], max_qp)
	               ? cli_fail("there is no hypervisor \"%s\"", argv[1])
	               : CLI_OK;
}

int cli_slots(struct cli *cli, int argc, char **argv)
{
	bool is_json = argc == 2 && !strcmp(argv[1], "--json");
	struct json_object *list = json_object_new_array();
	const struct slot *slot;

	if (argc != 1 && !is_json)
		return cli_wrong_usage(cli);
	fabric_lock(cli->fabric);
	for (uint32_t i = 0; (slot = slot_row(cli->fabric, i)); i++) {
		json_object_array_add(list, describe_slot(cli->fabric, i));
		if (is_json)
			continue;
		printf("%-16s 0x%016" PRIx64 " 0x%016" PRIx64 " %s\n", slot->name,
		        slot_node_guid(cli->fabric, i), slot_port_guid(cli->fabric, i),
		        slot->vm ? vm_row(cli->fabric, slot->vm - 1)->name : "-");
	}
	fabric_unlock(cli->fabric);
	if (is_json)
		return cli_print_json(list);
	json_object_put(list);
	return CLI_OK;
}
