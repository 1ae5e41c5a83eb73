/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whose the queue pairs are of which an answer's tables tell. Only who has the VM that moves may
 * tell of the VM's own, and who is in it not of others as if they were: by these rows peers find a
 * queue pair, and what is executed twice or never. Pure; part of the relay and of its thread.
 */
#ifndef TETHER_ROW_CLAIMS_H
#define TETHER_ROW_CLAIMS_H

#include "notifier/relay/lid_claims.h"

/* Rows of @answer, to @event, that are not @child's to say: of the VM that moves, or, where it is
 * of one VM, at LIDs of others. Its tables are whole. */
size_t row_claims_foreign(const struct lid_owners *owners, const struct child *child,
        const Tether__Event *event, const Tether__Answer *answer);
/*
 * Those of a host, or an agent between, at LIDs of VMs that are not behind it. It speaks for many,
 * and may not know whose they are: they are left out, and the rest counts. @answer is the caller's,
 * and whole; how many.
 */
size_t row_claims_others(
        const struct lid_owners *owners, const struct child *child, const Tether__Answer *answer);
void row_claims_leave_out(
        const struct lid_owners *owners, const struct child *child, Tether__Answer *answer);

#endif
