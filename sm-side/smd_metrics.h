/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What tether-smd tells Prometheus. Lives in the thread of its event_base. */
#ifndef TETHER_SMD_METRICS_H
#define TETHER_SMD_METRICS_H

#include "sm-side/conductor/conductor.h"

struct credentials;
struct smd_metrics;

/* At @address ("none": nobody may ask); @credentials NULL: no TLS. Both outlive it. NULL with
 * errno.
 */
struct smd_metrics *smd_metrics_create(struct event_base *base, const char *address,
        const struct conductor *conductor, const struct credentials *credentials);
/* NULL is fine. */
void smd_metrics_destroy(struct smd_metrics *metrics);

#endif
