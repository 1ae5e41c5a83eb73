/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What Prometheus is told of links over TLS. Pure. */
#ifndef TETHER_TLS_METRICS_H
#define TETHER_TLS_METRICS_H

#include "notifier/certificates/credentials.h"
#include "notifier/metrics/metrics_text.h"

/* Families PREFIX_tls_... */
void tls_metrics_tell(
        const struct credentials *credentials, const char *prefix, struct metrics_text *metrics);

#endif
