/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What an agent tells Prometheus: the same as its Report, and its link to the parent. Pure. */
#ifndef TETHER_AGENT_METRICS_H
#define TETHER_AGENT_METRICS_H

#include <stdbool.h>

#include "notifier/metrics/metrics_text.h"
#include "tether.pb-c.h"

void agent_metrics_tell(
        const Tether__Report *report, bool parent_connected, struct metrics_text *metrics);

/* The counters of @report, each a family PREFIX_NAME_total. */
void metrics_counters(
        struct metrics_text *metrics, const char *prefix, const Tether__Report *report);

#endif
