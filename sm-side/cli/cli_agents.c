/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* tether agents: how they are. */
#include "sm-side/cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "sm-side/json_read.h"

static bool flag(struct json_object *agent, const char *name)
{
	bool is_set = false;

	json_read_bool(agent, name, &is_set);
	return is_set;
}

/* "hyp1/vm1": one that is reached through hyp1. */
static void name_print(struct json_object *agent)
{
	const char *behind = cli_text(agent, "behind");
	char name[600];

	snprintf(name, sizeof(name), "%s%s%s", behind, *behind ? "/" : "", cli_text(agent, "name"));
	printf("%-20s %-6s", name, cli_text(agent, "role"));
}

static void lag_print(struct json_object *agent)
{
	if (!flag(agent, "connected"))
		printf(" %10s", "away");
	else if (!flag(agent, "answered"))
		printf(" %10s", "silent");
	else
		printf(" %7.2f ms", cli_number(agent, "lag_us") / 1000);
}

/* What it says to have and is another's. */
static void not_believed_print(struct json_object *agent)
{
	struct json_object *list = json_object_object_get(agent, "not_believed");
	size_t count =
	        json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < count; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);

		printf("  not believed: %s %s, which is %s's\n", cli_text(one, "what"),
		        cli_text(one, "name"), cli_text(one, "holder"));
	}
}

/* How many processes of one VM it takes; an agent between takes none. */
static void vm_most_print(struct json_object *agent)
{
	double most = cli_number(agent, "processes_max");

	if (most)
		printf(" %8.0f", most);
	else
		printf(" %8s", "-");
}

/* "6", or "6/5": a process of its VMs speaks 5. */
static void protocol_print(struct json_object *agent, struct json_object *vms)
{
	double own = cli_number(agent, "protocol"), oldest = own;
	size_t count =
	        json_object_is_type(vms, json_type_array) ? json_object_array_length(vms) : 0;
	char text[32] = "-";

	for (size_t i = 0; i < count; i++) {
		double one = cli_number(json_object_array_get_idx(vms, i), "protocol");

		if (one && one < oldest)
			oldest = one;
	}
	if (own)
		snprintf(text, sizeof(text), oldest < own ? "%.0f/%.0f" : "%.0f", own, oldest);
	printf(" %8s", text);
}

static void agent_print(struct json_object *agent)
{
	struct json_object *vms = json_object_object_get(agent, "vms");
	const char *version = cli_text(agent, "version");

	name_print(agent);
	printf(" %-8s", *version ? version : "-");
	protocol_print(agent, vms);
	printf(" %5zu %10.0f",
	        json_object_is_type(vms, json_type_array) ? json_object_array_length(vms) : 0,
	        cli_number(agent, "processes"));
	vm_most_print(agent);
	lag_print(agent);
	printf("\n");
	not_believed_print(agent);
}

int cli_agents(const struct cli_options *options)
{
	return cli_list(options, "/v1/agents", "agents",
	        "AGENT                ROLE   VERSION  PROTOCOL   VMS  PROCESSES  VM-MOST        "
	        "LAG",
	        agent_print);
}
