/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The simfabric command: one function for each verb, in cli_*.c. Exit status 0, 1 or 2 (usage). */
#ifndef SIMFABRIC_CLI_H
#define SIMFABRIC_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "simfabric/shared_file.h"

enum { CLI_OK, CLI_FAILED, CLI_USAGE };

/* What every verb may be given. @fabric is open, unless the verb works without. */
struct cli {
	const char *file;
	const char *usage; /* of the verb */
	struct fabric *fabric;
};

/* "simfabric: ..." on stderr; each returns the exit status for it. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_wrong_usage(const struct cli *cli);
/* Print and release. */
int cli_print_json(struct json_object *object);

/* Adding to an object, with the types that occur. */
void json_put_string(struct json_object *object, const char *key, const char *value);
void json_put_number(struct json_object *object, const char *key, uint64_t value);
void json_put_bool(struct json_object *object, const char *key, bool value);
void json_put_guid(struct json_object *object, const char *key, uint64_t guid);

int cli_create(struct cli *cli, int argc, char **argv);
int cli_run(struct cli *cli, int argc, char **argv);
int cli_clients(struct cli *cli, int argc, char **argv);
int cli_status(struct cli *cli, int argc, char **argv);
int cli_check(struct cli *cli, int argc, char **argv);
int cli_link(struct cli *cli, int argc, char **argv);
int cli_destroy(struct cli *cli, int argc, char **argv);
int cli_vm(struct cli *cli, int argc, char **argv);
int cli_attach(struct cli *cli, int argc, char **argv);
int cli_detach(struct cli *cli, int argc, char **argv);
int cli_guids(struct cli *cli, int argc, char **argv);
int cli_limit(struct cli *cli, int argc, char **argv);
int cli_slots(struct cli *cli, int argc, char **argv);
int cli_fault(struct cli *cli, int argc, char **argv);
int cli_data_fault(struct cli *cli, int argc, char **argv);
int cli_fault_points(struct cli *cli, int argc, char **argv);
int cli_counters(struct cli *cli, int argc, char **argv);
int cli_dump(struct cli *cli, int argc, char **argv);

#endif
