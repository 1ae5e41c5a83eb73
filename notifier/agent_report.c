/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/agent_report.h"

#include <errno.h>
#include <string.h>

#include "notifier/metrics/agent_metrics.h"
#include "notifier/agent_relay.h"
#include "notifier/base/log.h"
#include "notifier/metrics/metrics_server.h"
#include "notifier/metrics/tls_metrics.h"

void agent_report_send(void *at, uint32_t request)
{
	struct agent_relay *agent = at;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Report report;

	if (!agent->parent || relay_report_fill(agent->relay, &report))
		return;
	report.request = request;
	frame.body_case = TETHER__FRAME__BODY_REPORT;
	frame.report = &report;
	agent_relay_send(agent, &frame);
	relay_report_clear(&report);
}

static void metrics_tell(void *at, struct metrics_text *metrics)
{
	struct agent_relay *agent = at;
	Tether__Report report;

	if (relay_report_fill(agent->relay, &report)) {
		metrics->err = -ENOMEM;
		return;
	}
	agent_metrics_tell(&report, agent->parent_is_here, metrics);
	if (agent->credentials)
		tls_metrics_tell(agent->credentials, "tether_agent", metrics);
	if (agent->role->metrics)
		agent->role->metrics(agent->owner, metrics);
	relay_report_clear(&report);
}

int agent_report_open(struct agent_relay *agent)
{
	const char *address = agent->settings->metrics;
	int err;

	if (!strcmp(address, "none"))
		return 0;
	agent->metrics = metrics_server_create(agent->base, address, metrics_tell, agent);
	if (agent->metrics)
		return 0;
	err = -errno;
	log_error(agent->settings->role, "metrics at %s: %s", address, strerror(-err));
	return err;
}

void agent_report_close(struct agent_relay *agent)
{
	metrics_server_destroy(agent->metrics);
	agent->metrics = NULL;
}
