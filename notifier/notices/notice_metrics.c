/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/notices/notice_metrics.h"

void notice_metrics_tell(const struct notice_counts *counts, struct metrics_text *metrics)
{
	static const char name[] = "tether_agent_notices_total";

	metrics_family(
	        metrics, name, "counter", "notices of the subnet manager, by what they were");
#define COUNT(kind, meaning) metrics_sample(metrics, name, "kind", #kind, counts->kind);
#include "notifier/notices/notice_counts.def"
}
