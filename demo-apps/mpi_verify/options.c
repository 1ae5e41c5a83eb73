/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/mpi_verify/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/mpi_verify/findings.h"
#include "demo-apps/mpi_verify/sizes.h"

static const char usage[] =
        "NAME\n"
        "    mpi-verify - does MPI deliver everything once, in order and unchanged?\n"
        "\n"
        "SYNOPSIS\n"
        "    mpirun -n RANKS mpi-verify [--seconds S] [--rounds N] [--until-file FILE] [--seed N]\n"
        "        [--length BYTES] [--check NAME[,NAME...]] [--stall S] [--json] [--quiet] "
        "[--spoil]\n"
        "\n"
        "DESCRIPTION\n"
        "    Two ranks or more do rounds; each has every check once. All data are a function of "
        "seed,\n"
        "    sender, receiver, tag, number, length and offset, and every byte that arrives is "
        "compared,\n"
        "    so that what is lost, duplicated, reordered and corrupted is told apart. Each check "
        "has its\n"
        "    own counts. It is an ordinary MPI program; it knows nothing of what is below MPI.\n"
        "\n"
        "    Lengths are 0, 1, and one below, on and above each power of two up to 4 MiB; every "
        "round\n"
        "    has the short ones and a share of the long ones, seven rounds in a row have all.\n"
        "\n"
        "OPTIONS\n"
        "    Rounds end with the first of these; without any there are seven:\n"
        "    --seconds S        after the round in which so much time has passed\n"
        "    --rounds N         after so many\n"
        "    --until-file FILE  after the round in which FILE appears to rank 0\n"
        "\n"
        "    --seed N           other data (1)\n"
        "    --length BYTES     the longest message (4194304)\n"
        "    --check NAME,...   only these checks\n"
        "    --stall S          give up when a rank has waited S seconds in one call (120); 0: "
        "never\n"
        "    --json             one JSON object as the last line of output\n"
        "    --quiet            no line for each round on standard error\n"
        "    --spoil            self-test: in each check every rank commits each fault that the "
        "check\n"
        "                       can find, one at a time; all must be found, and nothing else\n"
        "    --help\n"
        "\n"
        "EXIT STATUS\n"
        "    0  no rank found anything wrong (--spoil: every fault was found)\n"
        "    1  something was found\n"
        "    2  bad usage\n"
        "    3  a rank was stalled\n"
        "\n"
        "CHECKS\n";

enum {
	OPTION_SECONDS = 256,
	OPTION_ROUNDS,
	OPTION_UNTIL_FILE,
	OPTION_SEED,
	OPTION_LENGTH,
	OPTION_CHECK,
	OPTION_STALL,
	OPTION_JSON,
	OPTION_QUIET,
	OPTION_SPOIL,
	OPTION_HELP,
};

static const struct option long_options[] = {
        {"seconds", required_argument, NULL, OPTION_SECONDS},
        {"rounds", required_argument, NULL, OPTION_ROUNDS},
        {"until-file", required_argument, NULL, OPTION_UNTIL_FILE},
        {"seed", required_argument, NULL, OPTION_SEED},
        {"length", required_argument, NULL, OPTION_LENGTH},
        {"check", required_argument, NULL, OPTION_CHECK},
        {"stall", required_argument, NULL, OPTION_STALL},
        {"json", no_argument, NULL, OPTION_JSON},
        {"quiet", no_argument, NULL, OPTION_QUIET},
        {"spoil", no_argument, NULL, OPTION_SPOIL},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
};

static void help_print(void)
{
	fputs(usage, stdout);
	for (unsigned i = 0; i < CHECK_COUNT; i++)
		printf("    %-22s %-6s %s\n", check_row[i].name, check_row[i].finds,
		        check_row[i].what);
	puts("\n    A letter for each kind of fault that the check can find:");
	for (unsigned i = 0; i < FINDING_COUNT; i++)
		printf("    %-22s %s\n", finding_name[i], finding_meaning[i]);
}

static int check_choose(struct options *options, const char *name, size_t length)
{
	for (unsigned i = 0; i < CHECK_COUNT; i++)
		if (strlen(check_row[i].name) == length &&
		        !strncmp(check_row[i].name, name, length)) {
			options->is_chosen[i] = true;
			return 0;
		}
	return -EINVAL;
}

static int checks_choose(struct options *options, const char *names)
{
	size_t length = strcspn(names, ",");

	for (; !check_choose(options, names, length); length = strcspn(names, ",")) {
		names += length;
		if (!*names++)
			return 0;
	}
	return -EINVAL;
}

static int one_option(struct options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_SECONDS:
		options->seconds = strtod(value, NULL);
		return options->seconds > 0 ? 0 : -EINVAL;
	case OPTION_ROUNDS:
		options->rounds = strtoull(value, NULL, 0);
		return options->rounds ? 0 : -EINVAL;
	case OPTION_UNTIL_FILE:
		options->until_file = value;
		return 0;
	case OPTION_SEED:
		options->seed = strtoull(value, NULL, 0);
		return 0;
	case OPTION_LENGTH:
		options->length_max = strtoull(value, NULL, 0);
		return options->length_max >= 64 && options->length_max <= SIZES_LONGEST ? 0
		                                                                         : -EINVAL;
	case OPTION_CHECK:
		return checks_choose(options, value);
	case OPTION_STALL:
		options->stall_s = (uint32_t)strtoul(value, NULL, 0);
		return 0;
	case OPTION_JSON:
		options->is_json = true;
		return 0;
	case OPTION_QUIET:
		options->is_quiet = true;
		return 0;
	case OPTION_SPOIL:
		options->is_spoil = true;
		return 0;
	case OPTION_HELP:
		return 1;
	default:
		return -EINVAL;
	}
}

static void defaults_fill_in(struct options *options)
{
	bool any = false;

	for (unsigned i = 0; i < CHECK_COUNT; i++)
		any |= options->is_chosen[i];
	for (unsigned i = 0; i < CHECK_COUNT && !any; i++)
		options->is_chosen[i] = true;
	if (!options->rounds && options->seconds == 0 && !options->until_file)
		options->rounds = SIZES_CYCLE;
}

int options_parse(struct options *options, int argc, char **argv, bool speaks)
{
	int option, error = 0;

	*options = (struct options){.seed = 1, .length_max = SIZES_LONGEST, .stall_s = 120};
	opterr = speaks;
	while (!error && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		error = one_option(options, option, optarg);
	if (!error && optind < argc)
		error = -EINVAL;
	if (error == 1 && speaks)
		help_print();
	if (error < 0 && speaks)
		fputs("mpi-verify: bad option or value; try --help\n", stderr);
	defaults_fill_in(options);
	return error;
}
