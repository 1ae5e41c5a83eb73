/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

static const struct verb {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv);
	bool needs_fabric;
	const char *usage, *meaning;
} verbs[] = {
        {"create", cli_create, false, "create [--oper-vls 1..4] TOPOLOGY.net",
                "make the fabric from an ibsim topology (1: links come up with VL0 only)"},
        {"run", cli_run, true, "run [--node NODE | --vm VM] -- COMMAND...",
                "run a command on a node or in a VM"},
        {"vm", cli_vm, true, "vm add VM [SLOT] | vm list [--json]",
                "add a VM, with the VF in SLOT; list them"},
        {"attach", cli_attach, true, "attach VM SLOT", "give a VM the VF in SLOT"},
        {"detach", cli_detach, true, "detach VM [--surprise] [--keep-link] [--timeout-ms N]",
                "ask a VM for its VF (5000 ms), or take it away"},
        {"guids", cli_guids, true, "guids SLOT|CA NODE_GUID PORT_GUID",
                "program the GUIDs of a detached VF, or of a plain CA that nobody is on"},
        {"slots", cli_slots, true, "slots [--json]", "list the VFs"},
        {"limit", cli_limit, true, "limit HYPERVISOR max_qp=N|none",
                "let a hypervisor's VFs offer less than the device has"},
        {"link", cli_link, true, "link NODE PORT up|down", "plug or pull a cable"},
        {"fault", cli_fault, true,
                "fault drop|delay|duplicate [--attribute A] [--class C] [--method get|set] "
                "[--kind K]\n"
                "           [--node NODE] [--direction request|response|both] [--chance P] "
                "[--seed N]\n"
                "           [--count N] [--us N] [--us-per-hop N] [--per-message]\n"
                "           K: Report, ReportResp, InformInfo, InformInfoResp; other GMPs by "
                "class\n"
                "       simfabric fault list [--json] | fault clear [ROW]",
                "lose, delay or double management packets"},
        {"data-fault", cli_data_fault, true,
                "data-fault SETTING...\n"
                "  [SLID>DLID:]drop.KIND=P  duplicate.KIND=P  delay.KIND=P:US  cut=P:PACKET\n"
                "      KIND: request, response, ack, rnr (of RC and XRC), uc, ud; P: 0 to 1\n"
                "      packets that are delayed overtake each other; cut: the rest of a message\n"
                "  LID/QPN:ACTION=MESSAGE[.PACKET][:TIMES]  LID/QPN:ACTION=@PSN[.PACKET][:TIMES]\n"
                "      what this queue pair (RC, XRC) asks, from that packet of that message on; "
                "0: the\n"
                "      next that begins. ACTION: hold (not sent), lose, lose_acks, lose_answers "
                "(of\n"
                "      READs and atomics), hold_receives (completions at the other end), rnr\n"
                "  LID/QPN:pass   takes its rules away\n"
                "  hold=P:US  hold_until_query=0|1  hold_send=P:US  seed=N  none  preset=mlx5|rxe\n"
                "  reset_purges=  err_flushes_receives=  raises_last_wqe=  colliding_numbers=0|1\n"
                "  loss_flushes=  loss_is_fatal=0|1\n"
                "  live_rq_psn=  live_sq_psn=0|1: else 0 is told; with given_psns=1 what was "
                "given\n"
                "  err_gives_back_sent=0|1: of UD and UC, what was sent without a completion\n"
                "  swapped_numbers=0|1: once a VM has moved, each object has another's number\n"
                "  shifted_tables=0|1: GIDs and P_Keys stand at other indices on each slot\n"
                "  strange_clocks=0|1: once a VM has moved, its device's clock is another one\n"
                "  ethernet=0|1: devices opened from now on have GIDs and no LID (RoCE)",
                "lose, delay, repeat or cut data packets"},
        {"counters", cli_counters, true, "counters [--json] [--reset]",
                "MADs by node, attribute and method"},
        {"dump", cli_dump, true, "dump lft|lft-hex|mft|ports|pkeys|places [--json]",
                "print tables as the fabric holds them"},
        {"check", cli_check, true, "check [--json]",
                "is data delivered between all pairs of CA LIDs?"},
        {"clients", cli_clients, true, "clients [--json]", "list the processes on the fabric"},
        {"status", cli_status, true, "status [--json]",
                "what is in use, and how often a client died inside the lock"},
        {"fault-points", cli_fault_points, false, "fault-points",
                "list the values of SIMFABRIC_DIE_AT=NAME[:COUNT]"},
        {"destroy", cli_destroy, false, "destroy", "remove the fabric"},
};

int cli_fail(const char *format, ...)
{
	va_list args;

	fputs("simfabric: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return CLI_FAILED;
}

int cli_wrong_usage(const struct cli *cli)
{
	fprintf(stderr, "usage: simfabric %s\n", cli->usage);
	return CLI_USAGE;
}

int cli_print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
	json_object_put(object);
	return ferror(stdout) ? CLI_FAILED : CLI_OK;
}

void json_put_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, value ? json_object_new_string(value) : NULL);
}

void json_put_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void json_put_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void json_put_guid(struct json_object *object, const char *key, uint64_t guid)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%016" PRIx64, guid);
	json_put_string(object, key, text);
}

static int print_help(FILE *out)
{
	fputs("usage: simfabric [-f FILE] VERB ...      FILE: default $SIMFABRIC\n\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-13s %s\n", verbs[i].name, verbs[i].meaning);
	fputs("\nsimfabric VERB --help shows a verb's arguments.\n", out);
	return out == stdout ? CLI_OK : CLI_USAGE;
}

static int run_verb(const struct verb *verb, struct cli *cli, int argc, char **argv)
{
	int status, r;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		printf("usage: simfabric %s\n%s\n", verb->usage, verb->meaning);
		return CLI_OK;
	}
	cli->usage = verb->usage;
	if (!verb->needs_fabric)
		return verb->run(cli, argc, argv);
	if (!cli->file)
		return cli_fail("no fabric named: use -f FILE or set SIMFABRIC");
	r = fabric_open(cli->file, &cli->fabric);
	if (r)
		return cli_fail("%s: %s", cli->file,
		        r == -EINVAL ? "not a fabric of this version" : strerror(-r));
	status = verb->run(cli, argc, argv);
	fabric_close(cli->fabric);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
	struct cli cli = {.file = getenv("SIMFABRIC")};
	int option;

	while ((option = getopt_long(argc, argv, "+f:h", options, NULL)) != -1) {
		if (option == 'f')
			cli.file = optarg;
		else
			return print_help(option == 'h' ? stdout : stderr);
	}
	argc -= optind;
	argv += optind;
	for (size_t i = 0; argc && i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, argv[0])) {
			optind = 0; /* the verb's options are parsed anew */
			return run_verb(&verbs[i], &cli, argc, argv);
		}
	}
	if (argc)
		cli_fail("no verb \"%s\"", argv[0]);
	return print_help(stderr);
}
