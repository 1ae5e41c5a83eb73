/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/ud_verify/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
        "usage: ud-verify [options]          wait for a client\n"
        "       ud-verify [options] HOST     begin, verify\n"
        "\n"
        "Numbered, checksummed datagrams from each QP to each of the other side; the last line of\n"
        "output is one JSON object. Exit status 0 only if each came once, unchanged, where it was\n"
        "sent and from whom it was sent. What was lost is counted apart.\n"
        "\n"
        "  -p, --port PORT       TCP port for the set-up (18601)\n"
        "  -d, --device NAME     RDMA device (the first)\n"
        "  -q, --qps N           number of QPs (4), the same for both\n"
        "  -t, --tokens N        datagrams under way between two QPs (4), the same for both\n"
        "  -s, --size BYTES      longest datagram (1024)\n"
        "  -x, --gid-index N     of this side (the first that there is)\n"
        "  -k, --pkey-index N    of all QPs (the first that has one)\n"
        "  -f, --fresh-every N   one in N is sent by an address handle that is made for it (512)\n"
        "  -e, --signal-every N  one send in N of a QP has a completion (1)\n"
        "  -w, --patience MS     a pair that is silent for so long has lost its datagrams (2000)\n"
        "  -D, --duration S      stop after S seconds; SIGTERM does the same\n"
        "  -S, --stall S         S seconds without any datagram are an error (45)\n";

static const struct option long_options[] = {
        {"port", required_argument, NULL, 'p'},
        {"device", required_argument, NULL, 'd'},
        {"qps", required_argument, NULL, 'q'},
        {"tokens", required_argument, NULL, 't'},
        {"size", required_argument, NULL, 's'},
        {"gid-index", required_argument, NULL, 'x'},
        {"pkey-index", required_argument, NULL, 'k'},
        {"fresh-every", required_argument, NULL, 'f'},
        {"signal-every", required_argument, NULL, 'e'},
        {"patience", required_argument, NULL, 'w'},
        {"duration", required_argument, NULL, 'D'},
        {"stall", required_argument, NULL, 'S'},
        {"help", no_argument, NULL, 'h'},
        {0},
};

static int number(const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || *text == '-' || value < least || value > most) {
		fprintf(stderr, "ud-verify: '%s' is not a number from %u to %u\n", text, least,
		        most);
		return -EINVAL;
	}
	*out = (uint32_t)value;
	return 0;
}

static int option_take(struct options *options, int option)
{
	uint32_t value = 0;
	int error = 0;

	switch (option) {
	case 'p':
		error = number(optarg, 1, 65535, &value);
		options->port = (uint16_t)value;
		return error;
	case 'd':
		options->device = optarg;
		return 0;
	case 'q':
		return number(optarg, 1, QPS_MAX, &options->qps);
	case 't':
		return number(optarg, 1, 32, &options->tokens);
	case 's':
		return number(optarg, 32, 4096, &options->length_max);
	case 'x':
		error = number(optarg, 0, 255, &value);
		options->gid_index = (int)value;
		return error;
	case 'k':
		error = number(optarg, 0, 65535, &value);
		options->pkey_index = (uint16_t)value;
		return error;
	case 'f':
		return number(optarg, 1, 1u << 30, &options->fresh_every);
	case 'e':
		return number(optarg, 1, 32, &options->signal_every);
	case 'w':
		return number(optarg, 1, 3600000, &options->patience_ms);
	case 'S':
		return number(optarg, 1, 3600, &options->stall_s);
	case 'D':
		error = number(optarg, 0, 1000000, &value);
		options->seconds = value;
		return error;
	default:
		return -EINVAL;
	}
}

int options_parse(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){.port = 18601,
	        .qps = 4,
	        .tokens = 4,
	        .length_max = 1024,
	        .gid_index = -1,
	        .fresh_every = 512,
	        .signal_every = 1,
	        .patience_ms = 2000,
	        .stall_s = 45};
	while ((option = getopt_long(
	                argc, argv, "p:d:q:t:s:x:k:f:e:w:D:S:h", long_options, NULL)) >= 0) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		if (option_take(options, option))
			return -EINVAL;
	}
	if (argc - optind > 1) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	options->host = argv[optind];
	return 0;
}
