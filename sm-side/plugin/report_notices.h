/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Servers told by OpenSM that there is something for them: a notice for each, issued with its LID
 * and by its port, so that of those who subscribe each for its own LID one gets a Report (and none
 * is refused, and its subscription deleted, for want of a common P_Key). Called without any lock.
 */
#ifndef TETHER_REPORT_NOTICES_H
#define TETHER_REPORT_NOTICES_H

#include <stdbool.h>
#include <stddef.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/wire/notice.h"
#include "sm-side/plan/refusal.h"

/* @heard[i]: somebody is subscribed, and so @notices[i] went out. NOT_MASTER. */
enum refusal report_notices(
        osm_opensm_t *osm, const struct notice *notices, size_t count, bool *heard);

#endif
