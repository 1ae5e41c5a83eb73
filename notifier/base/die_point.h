/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Places at which a test has a program killed: TETHER_DIE_AT=PLACE:STEP:COUNT makes the process end
 * itself with SIGKILL when it comes to that place in that step for the COUNT-th time (1 if left
 * out), TETHER_STOP_AT stop itself with SIGSTOP. Without the setting a place costs a call and a
 * load. Any thread may call.
 */
#ifndef TETHER_DIE_POINT_H
#define TETHER_DIE_POINT_H

#include <stdbool.h>

/* @place says who and when ("shim-begin", "shim-end", "relay", "relay-answer", "order", "ordered",
 * "smd", "sm-answer"), @step which step, state or op.
 */
void die_point(const char *place, const char *step);

/* Is this the place that @setting names? Counts down *@left. Pure. */
bool die_point_matches(const char *setting, unsigned *left, const char *place, const char *step);

#endif
