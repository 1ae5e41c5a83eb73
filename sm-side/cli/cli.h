/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * tether, the command line: one function for each command, each ends with the exit status (0 done,
 * 1 failed or refused, 2 usage, 3 not known since tether-smd went away). One thread; every error
 * has been said on stderr, with what to do next, before it is returned.
 */
#ifndef TETHER_CLI_H
#define TETHER_CLI_H

#include <stdbool.h>

#include <json-c/json.h>

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNKNOWN = 3 };
/* In place of an HTTP status: it did not get as far as tether-smd; or the answer never came. */
enum { CLI_NOT_ASKED = 0, CLI_NOT_ANSWERED = -1 };

enum { CLI_TO_MAX = 256, CLI_ISSUE_MAX = 4096 };

/* What comes before and behind the command's own words. */
struct cli_options {
	const char *api; /* path of tether-smd's socket */
	bool json, force, no_wait, follow;
	const char *order, *reach; /* NULL: as tether-smd does it */
	const char *abort;         /* of evacuate; NULL: not there */
	/* Of create; NULL: not there. */
	const char *slot, *lid, *node_guid, *port_guid;
	const char *to[CLI_TO_MAX];
	int to_count;
	/* Of cert. */
	const char *issue[CLI_ISSUE_MAX];
	int issue_count;
	const char *days; /* NULL: not there */
	int count;        /* words */
	char **words;
};

int cli_migrate(const struct cli_options *options);
int cli_status(const struct cli_options *options);
int cli_abort(const struct cli_options *options);
int cli_evacuate(const struct cli_options *options);
int cli_plan(const struct cli_options *options);
int cli_create(const struct cli_options *options);
int cli_destroy(const struct cli_options *options);
int cli_release(const struct cli_options *options);
int cli_forget(const struct cli_options *options);
int cli_vms(const struct cli_options *options);
int cli_agents(const struct cli_options *options);
int cli_hosts(const struct cli_options *options);
int cli_evacuations(const struct cli_options *options);
int cli_cert(const struct cli_options *options);
int cli_run(const struct cli_options *options);

/*
 * One request over the API's socket. @body may be NULL; a POST has one or an empty one. @method:
 * GET, POST or DELETE. Returns the answer's JSON object (put by the caller) with *@status, or NULL
 * after saying why, with one of the two above.
 */
struct json_object *cli_ask(const char *api, const char *method, const char *path,
        struct json_object *body, long *status);
/* Say a refusal: "tether: reason: text". */
void cli_say_refusal(struct json_object *answer);
/* The exit status of who was answered with that HTTP status. */
int cli_refused(long status);
/*
 * Takes the @answer (NULL: none) to a request that something begin: -1, @id is its number and its
 * end is to be waited for; else what there was to say has been said, and this is the exit status.
 */
int cli_begun(
        const struct cli_options *options, struct json_object *answer, long status, uint64_t *id);

enum { HTTP_OK = 200, HTTP_BADREQUEST = 400, HTTP_ACCEPTED = 202 };
/* What is answered to a request without a body; NULL where that is not @expected: said why. */
struct json_object *cli_expect(
        const struct cli_options *options, const char *method, const char *path, long expected);
/* The same of GET and 200. */
struct json_object *cli_get(const struct cli_options *options, const char *path);
void cli_print_json(struct json_object *answer);
/* Print each object of the list @name that the API has at @path, or the whole answer as JSON. The
 * exit status. */
int cli_list(const struct cli_options *options, const char *path, const char *name,
        const char *heading, void (*print)(struct json_object *object));

/* "" where it is not there. */
const char *cli_text(struct json_object *from, const char *name);
double cli_number(struct json_object *from, const char *name);

#endif
