/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: what a device has refused as one that is gone would was accepted all
 * the same, and is kept for the next one. If it turns out to be there, it is given it again, and
 * armed.
 */
#ifndef TETHER_REFUSED_WORK_H
#define TETHER_REFUSED_WORK_H

#include "preload/objects.h"

/* The service thread's, control verbs kept out. What it refuses once more it is asked about again;
 * what it refuses otherwise ends its queue pair. */
void refused_work_give(struct context *context);

#endif
