/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How the choices of a plan are called in texts, by value: on the plugin's socket, in undo files.
 */
#ifndef TETHER_PLAN_WORDS_H
#define TETHER_PLAN_WORDS_H

#include "sm-side/plan/plan.h"

extern const char *const plan_kind_words[VM_DESTROY + 1];
extern const char *const plan_order_words[PLAN_DROP_FIRST + 1];
extern const char *const plan_reach_words[PLAN_MINIMUM + 1];

#endif
