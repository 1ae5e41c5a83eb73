/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Part of turns.h: what the engines of two ends know of the work between them. */
#ifndef TEST_MODEL_TURNS_STATES_H
#define TEST_MODEL_TURNS_STATES_H

#include "tests/model/turns.h"

void turns_states(struct ibv_qp *asks, struct ibv_qp *answers, turns_state *tell, void *argument);

#endif
