/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/metrics/tls_metrics.h"

#include <ctype.h>
#include <stdio.h>

/* "OLD_VERSION" as "old-version". */
static void kind_put(char *to, size_t size, const char *kind)
{
	size_t i;

	for (i = 0; kind[i] && i + 1 < size; i++)
		to[i] = kind[i] == '_' ? '-' : (char)tolower((unsigned char)kind[i]);
	to[i] = '\0';
}

void tls_metrics_tell(
        const struct credentials *credentials, const char *prefix, struct metrics_text *metrics)
{
	const struct credentials_counts *counts = credentials_counts(credentials);
	char name[96];

	snprintf(name, sizeof(name), "%s_tls_expires_seconds", prefix);
	metrics_one(metrics, name, "gauge",
	        "when the certificate, or the list of revoked ones, expires, since 1970",
	        (uint64_t)credentials_expire(credentials));
	snprintf(name, sizeof(name), "%s_tls_handshakes_total", prefix);
	metrics_family(metrics, name, "counter", "links over TLS that came to stand");
	metrics_sample(metrics, name, "kind", "full", counts->full);
	metrics_sample(metrics, name, "kind", "resumed", counts->resumed);
	snprintf(name, sizeof(name), "%s_tls_refused_total", prefix);
	metrics_family(metrics, name, "counter", "links over TLS that did not, by why");
	for (size_t i = 0; i < TLS_REFUSALS; i++) {
		char kind[32];

		kind_put(kind, sizeof(kind), tls_refusal_name(i));
		metrics_sample(metrics, name, "kind", kind, counts->refused[i]);
	}
}
