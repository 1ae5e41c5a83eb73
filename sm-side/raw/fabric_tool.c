/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/fabric_tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/version.h"
#include "sm-side/json_read.h"
#include "sm-side/raw/change_file.h"
#include "sm-side/raw/sm_absent.h"

enum {
	WINDOW = 16,
	TIMEOUT_MS = 200,
	TRIES = 8,
	DEADLINE_S = 120,
	PACKET_LIFETIME_MS = 1074, /* 4.096 us << 18, what OpenSM has unless told otherwise */
	QUIET_AT_FIRST_US = 2000000,
	PROGRESS_EVERY_US = 1000000,
};

static const struct command {
	const char *name, *words;
	int least, most; /* words; most -1: any number */
	int (*run)(struct tool *tool);
	bool reads_lfts, writes;
	const char *help;
} commands[] = {
        {"plan", "MOVE...", 1, -1, tool_plan, true, false,
                "what the moves would write; writes nothing"},
        {"apply", "--undo FILE MOVE...", 1, -1, tool_apply, true, true,
                "plan, write FILE, carry out, verify; what fails is taken back"},
        {"undo", "FILE", 1, 1, tool_undo, false, true, "take back what FILE says, and verify"},
        {"resume", "FILE", 1, 1, tool_resume, false, true, "carry out what is left, and verify"},
        {"verify", "FILE", 1, 1, tool_verify, false, false, "is it carried out, all of it?"},
        {"dump", "", 0, 0, tool_dump, true, false, "the whole fabric as JSON"},
};

static const struct option known[] = {{"ca", required_argument, NULL, 'C'},
        {"port", required_argument, NULL, 'P'}, {"order", required_argument, NULL, 'o'},
        {"reach", required_argument, NULL, 'r'}, {"model", required_argument, NULL, 'm'},
        {"window", required_argument, NULL, 'w'}, {"route", required_argument, NULL, 'R'},
        {"timeout-ms", required_argument, NULL, 't'}, {"tries", required_argument, NULL, 'T'},
        {"deadline-s", required_argument, NULL, 'D'},
        {"packet-lifetime-ms", required_argument, NULL, 'L'},
        {"undo", required_argument, NULL, 'u'}, {"keep", no_argument, NULL, 'k'},
        {"dry-run", no_argument, NULL, 'n'}, {"force", no_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'}, {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'}, {0}};

static void usage(FILE *to)
{
	fputs("usage: tether-fabric COMMAND [OPTION...] ...\n"
	      "       tether-fabric --help | --version\n\n"
	      "Moves LIDs between slots of an InfiniBand subnet that has no subnet manager: LFT\n"
	      "entries on the switches, PortInfo at both slots. GUIDs are the hosts' to "
	      "exchange.\n\n",
	        to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-7s %-20s %s\n", commands[i].name, commands[i].words,
		        commands[i].help);
	fputs("\nMOVE is FROM:TO, each a port GUID, or a switch's GUID and a port: 0x2c903/7.\n\n"
	      "  --order fast|consistent|drop-first      (fast)\n"
	      "  --reach deterministic|minimum           (deterministic)\n"
	      "  --model plain-ca|vswitch                what can be moved (plain-ca)\n"
	      "  --undo FILE           apply: new, written before the first SMP\n"
	      "  --keep                apply: what fails stays as it is, for resume or undo\n"
	      "  --dry-run             read and plan, write nothing\n"
	      "  --force               write although there is a subnet manager\n"
	      "  --window N            SMPs under way (16)\n"
	      "  --route directed|lid  for switches (directed)\n"
	      "  --timeout-ms N, --tries N, --deadline-s N    of an SMP, of all (200, 8, 120)\n"
	      "  --packet-lifetime-ms N   the pause of drop-first (1074)\n"
	      "  --ca NAME, --port N   where to send from\n"
	      "  --json, --quiet       the result as JSON; no progress\n\n"
	      "Exit status: 0 done; 1 failed or refused, the fabric is as it was; 2 usage;\n"
	      "3 the fabric is changed in part: tether-fabric undo FILE, or resume FILE.\n",
	        to);
}

static bool parse_number(const char *text, unsigned least, unsigned most, unsigned *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < least || value > most)
		return false;
	*number = (unsigned)value;
	return true;
}

static bool parse_route(const char *text, bool *by_lid)
{
	*by_lid = !strcmp(text, "lid");
	return *by_lid || !strcmp(text, "directed");
}

static bool parse_model(const char *text, const struct endpoint_model **model)
{
	static const struct endpoint_model *const models[] = {
	        &endpoint_plain_ca, &endpoint_vswitch};

	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		if (!strcmp(text, models[i]->name)) {
			*model = models[i];
			return true;
		}
	return false;
}

static bool option_take_value(struct tool_options *o, int option, const char *value)
{
	unsigned number = 0;

	switch (option) {
	case 'C':
		o->umad.ca = value;
		return true;
	case 'P':
		if (!parse_number(value, 1, 254, &number))
			return false;
		o->umad.port = (int)number;
		return true;
	case 'o':
		return !order_parse(value, &o->order);
	case 'r':
		return !reach_parse(value, &o->reach);
	case 'm':
		return parse_model(value, &o->model);
	case 'w':
		return parse_number(value, 1, UMAD_WINDOW_MAX, &o->umad.window);
	case 'R':
		return parse_route(value, &o->apply.by_lid);
	case 't':
		return parse_number(value, 1, 60000, &o->umad.timeout_ms);
	case 'T':
		return parse_number(value, 1, 1000, &o->umad.tries);
	case 'D':
		return parse_number(value, 1, 86400, &o->deadline_s);
	case 'L':
		return parse_number(value, 0, 600000, &o->apply.packet_lifetime_ms);
	case 'u':
		o->undo_path = value;
		return true;
	}
	return false;
}

static bool option_take(struct tool_options *o, int option, const char *value)
{
	if (value)
		return option_take_value(o, option, value);
	o->keep |= option == 'k';
	o->dry_run |= option == 'n';
	o->force |= option == 'f';
	o->json |= option == 'j';
	o->quiet |= option == 'q';
	return option != '?';
}

/* -1, or the status to end with. */
static int options_take(
        const struct command *command, int argc, char **argv, struct tool_options *options)
{
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return TOOL_DONE;
		}
		if (!option_take(options, option, optarg)) {
			if (option != '?')
				fprintf(stderr, "tether-fabric: %s is no such value\n\n", optarg);
			usage(stderr);
			return TOOL_USAGE;
		}
	}
	options->words = argv + optind;
	options->count = argc - optind;
	if (options->count >= command->least &&
	        (command->most < 0 || options->count <= command->most))
		return -1;
	fprintf(stderr, "tether-fabric: %s takes %s\n\n", command->name,
	        command->most == 0  ? "nothing else"
	        : command->most < 0 ? "a move or more"
	                            : "one file");
	usage(stderr);
	return TOOL_USAGE;
}

int tool_fail(struct tool *tool, int status, const char *reason, const char *format, ...)
{
	char text[READ_WHY_BYTES + 64];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	fprintf(stderr, "tether-fabric: %s: %s\n", reason, text);
	json_put_text(tool->said, "reason", reason);
	json_put_text(tool->said, "text", text);
	return status;
}

static void say_progress(const struct umad_window_counts *counts)
{
	static uint64_t next_us;
	uint64_t now = monotonic_us();

	if (!next_us)
		next_us = now + QUIET_AT_FIRST_US;
	if (now < next_us)
		return;
	next_us = now + PROGRESS_EVERY_US;
	fprintf(stderr, "tether-fabric: %llu SMPs so far, %llu sent again\n",
	        (unsigned long long)counts->asked, (unsigned long long)counts->resent);
}

static int no_sm(struct tool *tool, int error, const char *text)
{
	if (!error)
		return TOOL_DONE;
	return tool_fail(tool, TOOL_FAILED, error == -EBUSY ? "sm-present" : "no-answer", "%s%s",
	        text, error == -EBUSY ? "; --force writes all the same" : "");
}

int tool_open(struct tool *tool, const struct tool_options *options, bool with_lfts, bool writes)
{
	bool must_be_alone = writes && !options->force && !options->dry_run;
	char why[READ_WHY_BYTES], found[SM_FOUND_BYTES];
	struct read_settings settings = {.with_lfts = with_lfts};
	struct umad_window_settings umad = options->umad;
	uint64_t start = monotonic_us();
	int error, status = TOOL_DONE;

	*tool = (struct tool){.options = options, .apply = options->apply};
	tool->said = json_object_new_object();
	tool->apply.deadline_ns = monotonic_ns() + options->deadline_s * NS_PER_S;
	settings.deadline_ns = tool->apply.deadline_ns;
	umad.progress = options->quiet ? NULL : say_progress;
	error = umad_window_open(&umad, &tool->window);
	if (error)
		return tool_fail(tool, TOOL_FAILED, "no-port",
		        "no InfiniBand port to send from: %s", strerror(-error));
	if (must_be_alone)
		status = no_sm(
		        tool, sm_absent_nearby(tool->window, settings.deadline_ns, found), found);
	if (status)
		return status;
	error = fabric_read_umad(tool->window, &settings, &tool->fabric, why);
	if (error)
		return tool_fail(tool, TOOL_FAILED, "not-read", "%s", why);
	tool->read_us = monotonic_us() - start;
	if (must_be_alone)
		status = no_sm(tool,
		        sm_absent_anywhere(tool->window, tool->fabric, settings.deadline_ns, found),
		        found);
	return status;
}

void tool_close(struct tool *tool)
{
	fabric_read_destroy(tool->fabric);
	umad_window_close(tool->window);
	json_object_put(tool->said);
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int command_run(const struct command *command, const struct tool_options *options)
{
	struct tool tool;
	int status = tool_open(&tool, options, command->reads_lfts, command->writes);

	if (status == TOOL_DONE)
		status = command->run(&tool);
	if (options->json)
		printf("%s\n", json_object_to_json_string_ext(tool.said, JSON_C_TO_STRING_PLAIN));
	tool_close(&tool);
	return fflush(stdout) ? TOOL_FAILED : status;
}

int main(int argc, char **argv)
{
	struct tool_options options = {
	        .umad = {.window = WINDOW, .timeout_ms = TIMEOUT_MS, .tries = TRIES},
	        .apply = {.packet_lifetime_ms = PACKET_LIFETIME_MS},
	        .model = &endpoint_plain_ca,
	        .deadline_s = DEADLINE_S,
	};
	const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;
	bool is_help = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"));
	int status;

	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("tether-fabric " TETHER_VERSION);
		return TOOL_DONE;
	}
	if (!command) {
		if (!is_help && argc > 1)
			fprintf(stderr, "tether-fabric: no command %s\n\n", argv[1]);
		usage(is_help ? stdout : stderr);
		return is_help ? TOOL_DONE : TOOL_USAGE;
	}
	status = options_take(command, argc - 1, argv + 1, &options);
	if (status >= 0)
		return status;
	if (command->run == tool_apply && !options.undo_path && !options.dry_run) {
		fputs("tether-fabric: apply needs --undo FILE\n", stderr);
		return TOOL_USAGE;
	}
	return command_run(command, &options);
}
