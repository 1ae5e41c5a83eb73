/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Will the subnet manager's next sweep leave the routes of a plan as they are? That depends on how
 * its routing engine chooses: what is said here has been measured with OpenSM 3.3.23
 * (tests/simfabric/stability_test.py, which compares). A plan whose routes are chosen anew is not
 * wrong: every LID stays reachable, but the sweep writes tables. Pure.
 */
#ifndef TETHER_PLAN_STABILITY_H
#define TETHER_PLAN_STABILITY_H

#include "sm-side/plan/plan.h"

enum stability {
	PLAN_STABLE,
	PLAN_REVERTED, /* a sweep chooses other routes for what has moved */
};

/* As it stands in answers. */
const char *stability_name(enum stability stability);

/*
 * @plan as plan_make made it of @request from @view, which has not changed since. @engine: the name
 * by which OpenSM knows its routing engine; of one that is not known here nothing is promised.
 * Where it is out of memory it promises nothing either.
 */
enum stability plan_stability(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, const struct plan *plan, const char *engine);

#endif
