/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether cert: a private CA for the links between hosts. Asks nobody; works on its directory. */
#include "sm-side/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/cli/authority_directory.h"
#include "sm-side/json_read.h"

enum {
	DAY_S = 24 * 3600,
	CA_DAYS = 3650,
	DAYS = 365,
	DAYS_MOST = 36500,
};

static int say(const char *error)
{
	fprintf(stderr, "tether: %s\n", error);
	return CLI_FAILED;
}

/* False, and said so: not a number of days. */
static bool validity_read(
        const struct cli_options *options, unsigned long standard, struct validity *validity)
{
	time_t now = time(NULL);
	unsigned long days = standard;
	char *end;

	if (options->days) {
		days = strtoul(options->days, &end, 10);
		if (*options->days < '0' || *options->days > '9' || *end || days > DAYS_MOST) {
			fprintf(stderr, "tether: --days %s is not a number up to %d\n",
			        options->days, DAYS_MOST);
			return false;
		}
	}
	*validity = (struct validity){now - CLOCKS_APART_S, now + (time_t)days * DAY_S};
	return true;
}

static int issue(
        struct authority_directory *directory, const char *who, const struct validity *validity)
{
	char error[AUTHORITY_ERROR_BYTES], name[PEER_TEXT_BYTES];
	struct peer_identity identity;

	if (peer_identity_parse_short(who, strlen(who), &identity)) {
		fprintf(stderr,
		        "tether: %s is not ROLE/NAME; roles are sm, host and relay, a name is up "
		        "to "
		        "%d letters, digits and _.-:@\n",
		        who, NAME_MOST);
		return CLI_USAGE;
	}
	if (authority_directory_issue(directory, &identity, validity, error))
		return say(error);
	peer_identity_write(&identity, name);
	printf("%s: %s-%s.crt, %s-%s.key\n", name, peer_identity_role_name(identity.role),
	        identity.name, peer_identity_role_name(identity.role), identity.name);
	return CLI_DONE;
}

static int cert_ca(const struct cli_options *options)
{
	struct authority_directory *directory;
	struct validity own, issued;
	char error[AUTHORITY_ERROR_BYTES];
	int status = CLI_DONE;

	if (!validity_read(options, CA_DAYS, &own) || !validity_read(options, DAYS, &issued))
		return CLI_USAGE;
	if (authority_directory_make(options->words[1], &own, &directory, error))
		return say(error);
	puts("CA: ca.crt, ca.key, ca.crl");
	for (int i = 0; status == CLI_DONE && i < options->issue_count; i++)
		status = issue(directory, options->issue[i], &issued);
	authority_directory_close(directory);
	return status;
}

static int cert_issue(const struct cli_options *options, struct authority_directory *directory)
{
	struct validity validity;

	if (!validity_read(options, DAYS, &validity))
		return CLI_USAGE;
	return issue(directory, options->words[2], &validity);
}

static int cert_revoke(const struct cli_options *options, struct authority_directory *directory)
{
	char error[AUTHORITY_ERROR_BYTES];

	if (authority_directory_revoke(directory, options->words[2], error))
		return say(error);
	puts("ca.crl is written: copy it to where tls_crl says, and send SIGHUP");
	return CLI_DONE;
}

static int cert_crl(const struct cli_options *options, struct authority_directory *directory)
{
	char error[AUTHORITY_ERROR_BYTES];

	return authority_directory_crl(directory, error) ? say(error) : CLI_DONE;
}

static const char *state_of(const struct issued_row *row)
{
	if (row->revoked)
		return "revoked";
	return row->until <= time(NULL) ? "expired" : "good";
}

static void date_write(time_t when, char text[static 32])
{
	struct tm parts;

	gmtime_r(&when, &parts);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static void row_print(const struct issued_row *row)
{
	char who[PEER_TEXT_BYTES], until[32];

	peer_identity_write(&row->identity, who);
	date_write(row->until, until);
	printf("%-24s %-8s %-20s %s\n", who, state_of(row), until, row->serial);
}

static struct json_object *row_json(const struct issued_row *row)
{
	struct json_object *json = json_object_new_object();
	char who[PEER_TEXT_BYTES], until[32];

	peer_identity_write(&row->identity, who);
	date_write(row->until, until);
	json_put_text(json, "name", who);
	json_put_text(json, "state", state_of(row));
	json_put_text(json, "until", until);
	json_put_text(json, "serial", row->serial);
	return json;
}

static int cert_list(const struct cli_options *options, struct authority_directory *directory)
{
	const struct issued *issued = authority_directory_issued(directory);
	struct json_object *answer, *list;

	if (!options->json) {
		puts("NAME                     STATE    UNTIL                SERIAL");
		for (size_t i = 0; i < issued->count; i++)
			row_print(&issued->rows[i]);
		return CLI_DONE;
	}
	answer = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < issued->count; i++)
		json_object_array_add(list, row_json(&issued->rows[i]));
	json_object_object_add(answer, "certificates", list);
	cli_print_json(answer);
	json_object_put(answer);
	return CLI_DONE;
}

static const struct cert_command {
	const char *name;
	int words; /* with its own name */
	int (*run)(const struct cli_options *options, struct authority_directory *directory);
} commands[] = {
        {"issue", 3, cert_issue},
        {"revoke", 3, cert_revoke},
        {"list", 2, cert_list},
        {"crl", 2, cert_crl},
};

static int in_directory(const struct cli_options *options, const struct cert_command *command)
{
	struct authority_directory *directory;
	char error[AUTHORITY_ERROR_BYTES];
	int status;

	if (authority_directory_open(options->words[1], &directory, error))
		return say(error);
	status = command->run(options, directory);
	authority_directory_close(directory);
	return status;
}

int cli_cert(const struct cli_options *options)
{
	const char *name = options->words[0];

	if (!strcmp(name, "ca") && options->count == 2)
		return cert_ca(options);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name) && options->count == commands[i].words)
			return in_directory(options, &commands[i]);
	fputs("tether: cert ca DIR, issue DIR ROLE/NAME, revoke DIR ROLE/NAME, list DIR or crl "
	      "DIR\n",
	        stderr);
	return CLI_USAGE;
}
