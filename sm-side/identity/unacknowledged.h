/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A plan's LFT blocks that no switch has acknowledged. What an earlier attempt has Set is in the
 * tables that OpenSM wants, so nothing is left of it (plan_left), but no switch may have taken it.
 * All of it is of one wave, since the next one waits for that. OpenSM's lock is held, exclusively
 * to send.
 */
#ifndef TETHER_UNACKNOWLEDGED_H
#define TETHER_UNACKNOWLEDGED_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/plan.h"

struct osm_opensm;
struct smp_sender;

/* Send them again, but not those that the first wave of @but has just written. *@posted: how many
 * Sets; the sender's lft_wait waits for them. NOT_ACKNOWLEDGED: one could not be sent. */
enum refusal unacknowledged_send(struct smp_sender *sender, const struct plan *plan,
        const struct plan_sets *but, uint32_t *posted);

bool unacknowledged_none(const struct osm_opensm *osm, const struct plan *plan);

#endif
