/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/version.h"

#define API_DEFAULT "/run/tether/api.sock"

struct command {
	const char *name, *words;
	int least, most; /* words; most -1: any number */
	const char *options;
	int (*run)(const struct cli_options *options);
	const char *help;
};

static const struct command commands[] = {
        {"migrate", "VM HOST", 2, 2, "fnjor", cli_migrate,
                "Move VM to HOST, with its RDMA connections. Shows each step as it begins and "
                "ends.\n"
                "\n"
                "  --force     move although a connection's other end has no libtether; that one\n"
                "              ends with errors. What a process refuses (veto-...) stays refused\n"
                "  --order ORDER, --reach REACH   how the forwarding tables are written: see plan\n"
                "  --no-wait   print the migration's number and end\n"
                "  --json      the whole migration as JSON on stdout, at its end\n"},
        {"status", "[ID]", 0, 1, "jw", cli_status,
                "Migrations, the latest first; or one with its steps, counts and refusals.\n"
                "\n"
                "  --follow    of one: each step when it begins and when it ends, until all has\n"
                "              ended. Exit status 0 where it is done, as of migrate\n"
                "  --json      as JSON\n"},
        {"abort", "ID", 1, 1, "nj", cli_abort,
                "Stop a migration before its commit; the VM goes on where it is.\n"
                "\n"
                "  --no-wait   do not wait for its end\n"
                "  --json      the whole migration as JSON on stdout, at its end\n"},
        {"evacuate", "HOST [--to HOST...]", 0, 256, "tfnjA", cli_evacuate,
                "Move all VMs of HOST away, up to four at a time: to the hosts behind --to, or to "
                "any\n"
                "with free VFs. Whether there is room for all is looked at before the first one "
                "moves.\n"
                "Shows what becomes of each.\n"
                "\n"
                "  --to HOST...   where they may go\n"
                "  --force        as of migrate\n"
                "  --abort ID     instead: no VM of that evacuation begins to move any more, and "
                "what is\n"
                "                 not committed is aborted\n"
                "  --no-wait      print the evacuation's number and end\n"
                "  --json         the whole evacuation as JSON on stdout, at its end\n"},
        {"evacuations", "[ID]", 0, 1, "j", cli_evacuations,
                "Evacuations, the latest first; or one with what has become of each VM.\n"
                "\n"
                "  --json      as JSON\n"},
        {"plan", "VM HOST", 2, 2, "orj", cli_plan,
                "What moving VM to HOST would write into the fabric: which blocks of which "
                "switches,\n"
                "in which waves, and the management packets by kind. Changes nothing.\n"
                "\n"
                "  --order ORDER   fast (the default), consistent or drop-first\n"
                "  --reach REACH   deterministic (the default) or minimum\n"
                "  --json          as JSON, with the blocks' contents before and after\n"},
        {"create", "VM HOST", 2, 2, "snjlNP", cli_create,
                "Give VM a free VF of HOST, with GUIDs and a LID: its identity on the fabric. The "
                "guest\n"
                "itself is not made; where HOST's driver wants it to be there, start it first.\n"
                "\n"
                "  --slot SLOT   this VF\n"
                "  --lid LID, --node-guid GUID --port-guid GUID   where LIDs are dynamic: these, "
                "instead\n"
                "                of the lowest free LID and the slot's GUIDs\n"
                "  --no-wait     print the number of what has begun and end\n"
                "  --json        the VM as JSON on stdout, at the end\n"},
        {"destroy", "VM", 1, 1, "nj", cli_destroy,
                "Take VM's VF away; where LIDs are dynamic its LID and routes are given back. The "
                "guest\n"
                "itself goes on, without the VF: programs in it see the device go.\n"
                "\n"
                "  --no-wait     print the number of what has begun and end\n"
                "  --json        the VM as JSON on stdout, at the end\n"},
        {"release", "VM", 1, 1, "fj", cli_release,
                "VM is not its host's any more: that one is dead and VM runs elsewhere, or it is "
                "not true\n"
                "that it has VM. Whoever else says so, and was not believed, has it then.\n"
                "\n"
                "  --force     though nobody else has said so yet: what that host says of VM does "
                "not count\n"
                "              any more, until VM is moved to it or tether-smd is started again\n"
                "  --json      whose it is now, as JSON\n"},
        {"forget", "HOST", 1, 1, "", cli_forget,
                "HOST will not come back, under this name: its VMs and slots are not its any more. "
                "Whoever\n"
                "else says that he has them, and was not believed, has them then.\n"},
        {"vms", "", 0, 0, "j", cli_vms,
                "The VMs and where they are. disputed: other hosts, too, say that they have "
                "one.\n\n  --json      as JSON\n"},
        {"hosts", "", 0, 0, "j", cli_hosts,
                "The physical servers and their VFs.\n\n  --json      as JSON\n"},
        {"cert", "ca|issue|revoke|list|crl DIR [ROLE/NAME]", 2, 3, "idj", cli_cert,
                "A private CA in DIR for links over TLS. Certificates name a role and who has it:\n"
                "sm/NAME (tether-smd), host/NAME (an agent), relay/NAME (an agent between).\n"
                "\n"
                "  ca DIR                 make it: ca.crt, ca.key, ca.crl\n"
                "  issue DIR ROLE/NAME    a key and a certificate: ROLE-NAME.key, ROLE-NAME.crt\n"
                "  revoke DIR ROLE/NAME   all certificates of that name, or (SERIAL) one; ca.crl "
                "anew\n"
                "  list DIR               what has been issued\n"
                "  crl DIR                ca.crl anew\n"
                "\n"
                "  --issue ROLE/NAME  of ca: these at once; may be given again\n"
                "  --days N           how long it is good: 3650 (ca), 365 (issue)\n"
                "  --json             of list: as JSON\n"},
        {"agents", "", 0, 0, "j", cli_agents,
                "Asks all agents how they are: version, VMs, processes with libtether, and how "
                "long the\n"
                "answer took. away: not connected; silent: did not answer in time. What a host "
                "says to\n"
                "have and is another's is named below it.\n"
                "\n"
                "  --json      as JSON, with what each has counted\n"},
        {"run", "-- COMMAND...", 1, -1, "", cli_run,
                "Run COMMAND so that its RDMA connections outlive a move of this VM: with\n"
                "libtether.so in LD_PRELOAD, before what is there. TETHER_AGENT names the agent's\n"
                "socket (unix:/run/tether/agent.sock).\n"},
};

static void usage(FILE *to)
{
	fputs("usage: tether [--api PATH] COMMAND ...\n       tether --help | --version\n\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  tether %s%s%s\n", commands[i].name, *commands[i].words ? " " : "",
		        commands[i].words);
	fputs("\ntether COMMAND --help says more. PATH is the socket of tether-smd's API; without "
	      "it\n"
	      "$TETHER_API, then " API_DEFAULT
	      ".\nExit status: 0 done, 1 failed or refused (the reason is on stderr), 2 usage.\n",
	        to);
}

static void command_usage(FILE *to, const struct command *command)
{
	fprintf(to, "usage: tether [--api PATH] %s%s%s%s\n\n%s", command->name,
	        *command->options ? " [OPTION...]" : "", *command->words ? " " : "", command->words,
	        command->help);
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static const struct option known[] = {{"api", required_argument, NULL, 'a'},
        {"force", no_argument, NULL, 'f'}, {"no-wait", no_argument, NULL, 'n'},
        {"to", required_argument, NULL, 't'}, {"abort", required_argument, NULL, 'A'},
        {"order", required_argument, NULL, 'o'}, {"reach", required_argument, NULL, 'r'},
        {"slot", required_argument, NULL, 's'}, {"lid", required_argument, NULL, 'l'},
        {"node-guid", required_argument, NULL, 'N'}, {"port-guid", required_argument, NULL, 'P'},
        {"issue", required_argument, NULL, 'i'}, {"days", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
        {"follow", no_argument, NULL, 'w'}, {"version", no_argument, NULL, 'V'}, {0}};

/* Options before the command's name: -1, or the status to end with. */
static int own_options(int argc, char **argv, struct cli_options *options)
{
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return CLI_DONE;
		}
		if (option == 'V') {
			puts("tether " TETHER_VERSION);
			return CLI_DONE;
		}
		if (option != 'a') {
			usage(stderr);
			return CLI_USAGE;
		}
		options->api = optarg;
	}
	if (optind < argc)
		return -1;
	usage(stderr);
	return CLI_USAGE;
}

static bool option_take(const struct command *command, int option, struct cli_options *options)
{
	if (option == 'a')
		options->api = optarg;
	else if (option == '?' || !strchr(command->options, option))
		return false;
	/* A host without a certificate would be noticed when it is missing. */
	if (option == 'i' && options->issue_count == CLI_ISSUE_MAX) {
		fprintf(stderr, "tether: more than %d --issue\n", CLI_ISSUE_MAX);
		return false;
	}
	if (option == 't' && options->to_count < CLI_TO_MAX)
		options->to[options->to_count++] = optarg;
	if (option == 'A')
		options->abort = optarg;
	if (option == 'o')
		options->order = optarg;
	if (option == 'r')
		options->reach = optarg;
	if (option == 's')
		options->slot = optarg;
	if (option == 'l')
		options->lid = optarg;
	if (option == 'N')
		options->node_guid = optarg;
	if (option == 'P')
		options->port_guid = optarg;
	if (option == 'i')
		options->issue[options->issue_count++] = optarg;
	if (option == 'd')
		options->days = optarg;
	options->force |= option == 'f';
	options->no_wait |= option == 'n';
	options->json |= option == 'j';
	options->follow |= option == 'w';
	return true;
}

/* Options of the command, which may stand between its words (but for run, whose words have their
 * own): -1, or the status to end with. */
static int command_options(
        const struct command *command, int argc, char **argv, struct cli_options *options)
{
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, command->most < 0 ? "+" : "", known, NULL)) !=
	        -1) {
		if (option == 'h') {
			command_usage(stdout, command);
			return CLI_DONE;
		}
		if (!option_take(command, option, options)) {
			command_usage(stderr, command);
			return CLI_USAGE;
		}
	}
	options->words = argv + optind;
	options->count = argc - optind;
	if (options->count >= command->least &&
	        (command->most < 0 || options->count <= command->most))
		return -1;
	command_usage(stderr, command);
	return CLI_USAGE;
}

int main(int argc, char **argv)
{
	const char *from_environment = getenv("TETHER_API");
	struct cli_options options = {.api = from_environment ? from_environment : API_DEFAULT};
	const struct command *command;
	int status = own_options(argc, argv, &options);

	if (status >= 0)
		return status;
	command = command_find(argv[optind]);
	if (!command) {
		fprintf(stderr, "tether: no command %s\n\n", argv[optind]);
		usage(stderr);
		return CLI_USAGE;
	}
	status = command_options(command, argc - optind, argv + optind, &options);
	return status >= 0 ? status : command->run(&options);
}
