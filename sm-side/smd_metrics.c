/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/smd_metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/metrics/agent_metrics.h"
#include "notifier/base/version.h"
#include "notifier/metrics/metrics_server.h"
#include "notifier/relay/relay.h"
#include "notifier/metrics/tls_metrics.h"
#include "sm-side/directory/directory.h"

struct smd_metrics {
	const struct conductor *conductor;
	const struct credentials *credentials; /* NULL: no TLS */
	struct metrics_server *server;         /* NULL: nobody may ask */
};

static void hosts_tell(const struct conductor *conductor, struct metrics_text *metrics)
{
	static const char name[] = "tether_smd_host_connected";
	const struct inventory *inventory = conductor_inventory(conductor);

	metrics_family(metrics, name, "gauge", "1: the link of that server's agent stands");
	for (const struct inventory_host *h = inventory->hosts; h; h = h->next)
		metrics_sample(metrics, name, "host", h->name, h->connected);
	metrics_family(metrics, "tether_smd_host_vms", "gauge", "VMs of that server");
	for (const struct inventory_host *h = inventory->hosts; h; h = h->next)
		metrics_sample(metrics, "tether_smd_host_vms", "host", h->name,
		        h->said ? h->said->n_vms : 0);
}

static void claims_tell(const struct conductor *conductor, struct metrics_text *metrics)
{
	static const char name[] = "tether_smd_claims_not_believed_total";
	static const char *const things[] = {[DIRECTORY_VM] = "vm",
	        [DIRECTORY_PLACE] = "slot-place",
	        [DIRECTORY_GUID] = "slot-guid"};

	metrics_family(
	        metrics, name, "counter", "what a server said to have that was another's, by kind");
	for (enum directory_thing thing = DIRECTORY_VM; thing <= DIRECTORY_GUID; thing++)
		metrics_sample(metrics, name, "what", things[thing],
		        directory_refused(conductor_directory(conductor), thing));
	metrics_one(metrics, "tether_smd_words_put_off_total", "counter",
	        "HELLOs refused since their server said something else of itself too often",
	        directory_put_off(conductor_directory(conductor)));
}

/* By outcome, since the start. */
static void migrations_tell(const struct conductor *conductor, struct metrics_text *metrics)
{
	static const char name[] = "tether_smd_migrations_ended_total";
	const uint64_t *ended = conductor_ended(conductor);
	uint64_t open = 0;

	for (const struct ledger_entry *e = conductor_ledger(conductor)->newest; e; e = e->older)
		open += !migration_ended(&e->migration);
	metrics_one(metrics, "tether_smd_migrations_open", "gauge", "migrations under way", open);
	metrics_family(metrics, name, "counter", "migrations that have ended, by outcome");
	for (enum migration_state state = 0; state < STATE_COUNT; state++)
		if (migration_phase(state) == PHASE_ENDED)
			metrics_sample(metrics, name, "outcome", migration_state_name(state),
			        ended[state]);
}

static void relay_tell(const struct conductor *conductor, struct metrics_text *metrics)
{
	Tether__Report report;

	if (relay_report_fill(conductor_relay(conductor), &report)) {
		metrics->err = -ENOMEM;
		return;
	}
	metrics_counters(metrics, "tether_smd", &report);
	relay_report_clear(&report);
}

static void tell(void *owner, struct metrics_text *metrics)
{
	const struct smd_metrics *of = owner;
	const struct conductor *conductor = of->conductor;

	metrics_family(metrics, "tether_smd_info", "gauge", "which build this is");
	metrics_sample(metrics, "tether_smd_info", "version", TETHER_VERSION, 1);
	metrics_one(metrics, "tether_smd_epoch", "gauge",
	        "the epoch, which each start and migration raises",
	        conductor_ledger(conductor)->epoch);
	metrics_one(metrics, "tether_smd_sm_connected", "gauge", "1: the link to OpenSM stands",
	        conductor_sm_is_up(conductor));
	hosts_tell(conductor, metrics);
	claims_tell(conductor, metrics);
	migrations_tell(conductor, metrics);
	relay_tell(conductor, metrics);
	if (of->credentials)
		tls_metrics_tell(of->credentials, "tether_smd", metrics);
}

struct smd_metrics *smd_metrics_create(struct event_base *base, const char *address,
        const struct conductor *conductor, const struct credentials *credentials)
{
	struct smd_metrics *of = calloc(1, sizeof(*of));

	if (!of)
		return NULL;
	of->conductor = conductor;
	of->credentials = credentials;
	if (!strcmp(address, "none"))
		return of;
	of->server = metrics_server_create(base, address, tell, of);
	if (of->server)
		return of;
	free(of);
	return NULL;
}

void smd_metrics_destroy(struct smd_metrics *of)
{
	if (!of)
		return;
	metrics_server_destroy(of->server);
	free(of);
}
