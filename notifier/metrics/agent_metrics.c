/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/metrics/agent_metrics.h"

#include <stdio.h>
#include <string.h>

#include "notifier/base/cleanup.h"

static const struct {
	const char *name, *meaning;
} meanings[] = {
#define COUNT(name, meaning) {#name, meaning},
#include "notifier/relay/relay_counts.def"
};

static const char *meaning_of(const char *counter)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (!strcmp(meanings[i].name, counter))
			return meanings[i].meaning;
	return "counted by another version";
}

void metrics_counters(
        struct metrics_text *metrics, const char *prefix, const Tether__Report *report)
{
	for (size_t i = 0; i < report->n_counters; i++) {
		const Tether__Counter *counter = report->counters[i];
		char name[128];

		snprintf(name, sizeof(name), "%s_%s_total", prefix, counter->name);
		metrics_one(metrics, name, "counter", meaning_of(counter->name), counter->value);
	}
}

static void vms_tell(const Tether__Report *report, struct metrics_text *metrics)
{
	static const char name[] = "tether_agent_processes";

	metrics_one(metrics, "tether_agent_vms", "gauge", "VMs here", report->n_vms);
	metrics_one(metrics, "tether_agent_processes_max", "gauge",
	        "links that are taken of the processes of one VM; 0: none", report->processes_max);
	metrics_family(metrics, name, "gauge", "connected processes with libtether.so");
	for (size_t i = 0; i < report->n_vms; i++)
		metrics_sample(
		        metrics, name, "vm", report->vms[i]->name, report->vms[i]->processes);
}

void agent_metrics_tell(
        const Tether__Report *report, bool parent_connected, struct metrics_text *metrics)
{
	metrics_family(metrics, "tether_agent_info", "gauge", "which build this is");
	metrics_sample(metrics, "tether_agent_info", "version", report->version, 1);
	metrics_one(metrics, "tether_agent_parent_connected", "gauge",
	        "1: the link to tether-smd, or to the relay above, stands", parent_connected);
	metrics_one(
	        metrics, "tether_agent_epoch", "gauge", "the highest epoch seen", report->epoch);
	metrics_one(metrics, "tether_agent_open_migrations", "gauge",
	        "migrations that this agent knows to be under way", report->open);
	metrics_one(metrics, "tether_agent_agents", "gauge", "agents connected below this one",
	        report->agents);
	vms_tell(report, metrics);
	metrics_counters(metrics, "tether_agent", report);
}
