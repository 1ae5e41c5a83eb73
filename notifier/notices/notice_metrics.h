/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What Prometheus is told of notices. Pure. */
#ifndef TETHER_NOTICE_METRICS_H
#define TETHER_NOTICE_METRICS_H

#include "notifier/metrics/metrics_text.h"
#include "notifier/notices/notice_watch.h"

void notice_metrics_tell(const struct notice_counts *counts, struct metrics_text *metrics);

#endif
