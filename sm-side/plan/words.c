/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/words.h"

const char *const plan_kind_words[] = {
        [MOVE_SWAP] = "swap",
        [MOVE_COPY] = "copy",
        [VM_CREATE] = "create",
        [VM_DESTROY] = "destroy",
};

const char *const plan_order_words[] = {
        [PLAN_FAST] = "fast",
        [PLAN_CONSISTENT] = "consistent",
        [PLAN_DROP_FIRST] = "drop-first",
};

const char *const plan_reach_words[] = {
        [PLAN_DETERMINISTIC] = "deterministic",
        [PLAN_MINIMUM] = "minimum",
};
