/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/rc_verify/send_queue.h"

const char *const injection_name[INJECTION_COUNT] = {
#define INJECT(name) #name,
        INJECTIONS(INJECT)
#undef INJECT
};

static const char usage[] =
        "usage: rc-verify [options]          wait for a client\n"
        "       rc-verify [options] HOST     connect, work, verify\n"
        "\n"
        "Numbered, checksummed work of every RC kind, both ways; the last line of output is one\n"
        "JSON object. Exit status 0 only if nothing was lost, repeated, changed or reordered.\n"
        "\n"
        "  -p, --port PORT       TCP port for the set-up (18600)\n"
        "  -d, --device NAME     RDMA device (the first)\n"
        "  -x, --gid-index N     use a GRH with this source GID (by LID alone)\n"
        "  -D, --duration S      stop after S seconds\n"
        "  -n, --count N         stop after N work requests on each QP\n"
        "  -c, --control FILE    stop when FILE says \"stop\"; SIGTERM does the same\n"
        "  -S, --stall S         S seconds without a completion are an error (45)\n"
        "      --extended-cq     completions by ibv_cq_ex\n"
        "  -Q, --quiet           no progress on stderr\n"
        "  -T, --self-test       put faults before the checkers and see them reported\n"
        "  -I, --inject FAULT    commit one fault: the other side must report it; 'list'\n"
        "      --seed N          another mix\n"
        "Of the client, for both sides:\n"
        "  -q, --qps N           number of QPs (4)\n"
        "      --depth N         work requests outstanding on each (32)\n"
        "  -s, --size BYTES      longest message (4096)\n"
        "  -m, --mtu BYTES       path MTU (1024)\n"
        "      --cq shared|each  one CQ for all QPs, or one each (shared)\n"
        "      --receives own|shared  a shared receive queue for each QP (own)\n"
        "      --transport rc|xrc  (rc)\n"
        "      --post mixed|send|wr  ibv_post_send, ibv_wr_*, or both in turn (mixed)\n"
        "      --atomics on|off|client  FETCH_ADD and CMP_SWAP in the mix of both sides, of none "
        "or of\n"
        "                        the client alone (on)\n"
        "      --signal-every N  signal one in N on average (4)\n"
        "      --late-every N    one in N receives is posted late, 0: none (2000)\n"
        "      --ack-timeout N   4.096 us * 2^N until a retry (14: 67 ms)\n"
        "      --rnr on|off      off: send only what a receive waits for, and post none late (on)\n"
        "      --late-ms MS      how late, so that the sender is RNR-blocked (3)\n";

enum {
	OPTION_DEPTH = 256,
	OPTION_CQ,
	OPTION_RECEIVES,
	OPTION_TRANSPORT,
	OPTION_POST,
	OPTION_ATOMICS,
	OPTION_SIGNAL,
	OPTION_LATE_EVERY,
	OPTION_LATE_MS,
	OPTION_RNR,
	OPTION_ACK_TIMEOUT,
	OPTION_SEED,
	OPTION_EXTENDED_CQ,
};

static const struct option long_options[] = {
        {"port", required_argument, NULL, 'p'},
        {"device", required_argument, NULL, 'd'},
        {"gid-index", required_argument, NULL, 'x'},
        {"duration", required_argument, NULL, 'D'},
        {"count", required_argument, NULL, 'n'},
        {"control", required_argument, NULL, 'c'},
        {"stall", required_argument, NULL, 'S'},
        {"extended-cq", no_argument, NULL, OPTION_EXTENDED_CQ},
        {"quiet", no_argument, NULL, 'Q'},
        {"self-test", no_argument, NULL, 'T'},
        {"inject", required_argument, NULL, 'I'},
        {"seed", required_argument, NULL, OPTION_SEED},
        {"qps", required_argument, NULL, 'q'},
        {"depth", required_argument, NULL, OPTION_DEPTH},
        {"size", required_argument, NULL, 's'},
        {"mtu", required_argument, NULL, 'm'},
        {"cq", required_argument, NULL, OPTION_CQ},
        {"receives", required_argument, NULL, OPTION_RECEIVES},
        {"transport", required_argument, NULL, OPTION_TRANSPORT},
        {"post", required_argument, NULL, OPTION_POST},
        {"atomics", required_argument, NULL, OPTION_ATOMICS},
        {"signal-every", required_argument, NULL, OPTION_SIGNAL},
        {"late-every", required_argument, NULL, OPTION_LATE_EVERY},
        {"late-ms", required_argument, NULL, OPTION_LATE_MS},
        {"rnr", required_argument, NULL, OPTION_RNR},
        {"ack-timeout", required_argument, NULL, OPTION_ACK_TIMEOUT},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

static int injection_parse(const char *name, enum injection *injection)
{
	for (unsigned i = 0; i < INJECTION_COUNT; i++)
		if (!strcmp(name, injection_name[i])) {
			*injection = i;
			return 0;
		}
	for (unsigned i = 0; i < INJECTION_COUNT; i++)
		puts(injection_name[i]);
	return strcmp(name, "list") ? -EINVAL : 1;
}

static int choice(const char *text, const char *const *names, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(text, names[i]))
			return (int)i;
	return -EINVAL;
}

static int work_option(struct work_options *work, int option, const char *value)
{
	static const char *const apis[] = {"mixed", "send", "wr"};
	static const char *const cqs[] = {"each", "shared"};
	static const char *const rnr[] = {"off", "on"};
	static const char *const receives[] = {"own", "shared"};
	static const char *const transports[] = {"rc", "xrc"};
	static const char *const atomics[ATOMICS_BY_COUNT] = {"off", "on", "client"};
	unsigned long number = strtoul(value, NULL, 0);
	int chosen;

	switch (option) {
	case 'q':
		work->qps = number;
		return 0;
	case OPTION_DEPTH:
		work->depth = number;
		return 0;
	case 's':
		work->length_max = (number + 7) & ~7UL;
		return 0;
	case 'm':
		work->mtu_bytes = number;
		return 0;
	case OPTION_SIGNAL:
		work->signal_every = number;
		return 0;
	case OPTION_LATE_EVERY:
		work->late_every = number;
		return 0;
	case OPTION_LATE_MS:
		work->late_ms = number;
		return 0;
	case OPTION_ACK_TIMEOUT:
		work->ack_timeout = number;
		return 0;
	case OPTION_RNR:
		chosen = choice(value, rnr, 2);
		work->is_paced = chosen == 0;
		return chosen < 0 ? chosen : 0;
	case OPTION_CQ:
		chosen = choice(value, cqs, 2);
		work->shared_cq = chosen == 1;
		return chosen < 0 ? chosen : 0;
	case OPTION_RECEIVES:
		chosen = choice(value, receives, 2);
		work->shared_receives = chosen == 1;
		return chosen < 0 ? chosen : 0;
	case OPTION_TRANSPORT:
		chosen = choice(value, transports, 2);
		work->xrc = chosen == 1;
		return chosen < 0 ? chosen : 0;
	case OPTION_ATOMICS:
		chosen = choice(value, atomics, ATOMICS_BY_COUNT);
		work->atomics = chosen < 0 ? ATOMICS_BY_BOTH : (enum atomics_by)chosen;
		return chosen < 0 ? chosen : 0;
	case OPTION_POST:
		chosen = choice(value, apis, 3);
		work->post_api = chosen < 0 ? POST_MIXED : (enum post_api)chosen;
		return chosen < 0 ? chosen : 0;
	}
	return -EINVAL;
}

static int one_option(struct options *options, int option, const char *value)
{
	switch (option) {
	case 'p':
		options->port = (uint16_t)strtoul(value, NULL, 0);
		return 0;
	case 'd':
		options->device = value;
		return 0;
	case 'x':
		options->gid_index = (int)strtol(value, NULL, 0);
		return 0;
	case 'D':
		options->seconds = strtod(value, NULL);
		return 0;
	case 'n':
		options->count = strtoull(value, NULL, 0);
		return 0;
	case 'c':
		options->control_path = value;
		return 0;
	case 'S':
		options->stall_s = (uint32_t)strtoul(value, NULL, 0);
		return 0;
	case OPTION_SEED:
		options->seed = strtoull(value, NULL, 0);
		return 0;
	case OPTION_EXTENDED_CQ:
		options->extended_cq = true;
		return 0;
	case 'Q':
		options->quiet = true;
		return 0;
	case 'T':
		options->self_test = true;
		return 0;
	case 'I':
		return injection_parse(value, &options->injection);
	case 'h':
		fputs(usage, stdout);
		return 1;
	case '?':
		return -EINVAL;
	}
	return work_option(&options->work, option, value);
}

static bool work_options_fit(const struct work_options *work)
{
	return work->qps >= 1 && work->qps <= 4096 && work->depth >= 8 &&
	       work->depth <= SEND_QUEUE_MAX && work->length_max >= 256 &&
	       work->length_max + 1 <= MESSAGE_MAX && work->signal_every >= 1 &&
	       work->ack_timeout < 32;
}

int options_parse(struct options *options, int argc, char **argv)
{
	int option, error;

	*options = (struct options){.port = 18600, .gid_index = -1, .stall_s = 45, .seed = 1};
	options->work = (struct work_options){.qps = 4,
	        .depth = 32,
	        .length_max = 4096,
	        .mtu_bytes = 1024,
	        .signal_every = 4,
	        .late_every = 2000,
	        .late_ms = 3,
	        .ack_timeout = 14,
	        .shared_cq = true,
	        .atomics = ATOMICS_BY_BOTH};
	while ((option = getopt_long(
	                argc, argv, "p:d:x:D:n:c:S:QTI:q:s:m:h", long_options, NULL)) != -1) {
		error = one_option(options, option, optarg);
		if (error < 0)
			fputs("rc-verify: try --help\n", stderr);
		if (error)
			return error;
	}
	if (optind < argc)
		options->host = argv[optind++];
	if (optind < argc || !work_options_fit(&options->work)) {
		fputs("rc-verify: an argument too many, or a number out of bounds\n", stderr);
		return -EINVAL;
	}
	return 0;
}

#define WORK_LINE "rc-verify 3 %u %u %u %u %u %u %u %u %u %u %u %u %u %u"

void work_options_write(const struct work_options *work, char *line, size_t size)
{
	snprintf(line, size, WORK_LINE, work->qps, work->depth, work->length_max, work->mtu_bytes,
	        work->signal_every, work->late_every, work->late_ms, work->ack_timeout,
	        (unsigned)work->post_api, (unsigned)work->shared_cq, (unsigned)work->atomics,
	        (unsigned)work->xrc, (unsigned)work->shared_receives, (unsigned)work->is_paced);
}

int work_options_read(struct work_options *work, const char *line)
{
	struct work_options read = {0};
	unsigned api, shared, atomics, xrc, shared_receives, is_paced;

	if (sscanf(line, WORK_LINE, &read.qps, &read.depth, &read.length_max, &read.mtu_bytes,
	            &read.signal_every, &read.late_every, &read.late_ms, &read.ack_timeout, &api,
	            &shared, &atomics, &xrc, &shared_receives, &is_paced) != 14)
		return -EINVAL;
	if (api > POST_WR || shared > 1 || xrc > 1 || shared_receives > 1 || is_paced > 1 ||
	        atomics >= ATOMICS_BY_COUNT || !work_options_fit(&read))
		return -EINVAL;
	read.post_api = api;
	read.shared_cq = shared;
	read.atomics = atomics;
	read.xrc = xrc;
	read.shared_receives = shared_receives;
	read.is_paced = is_paced;
	*work = read;
	return 0;
}
