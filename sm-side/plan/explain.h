/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Which switch, port or LID a refusal is about. Pure. */
#ifndef TETHER_PLAN_EXPLAIN_H
#define TETHER_PLAN_EXPLAIN_H

#include "sm-side/plan/plan.h"

/* Of a @plan that was refused half made, over the same view. VIEW_SOUND: about none in particular.
 */
struct view_fault explain_refusal(
        const struct fabric_view *view, const struct plan *plan, enum refusal refused);

#endif
