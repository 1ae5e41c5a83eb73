/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Carries a change out, or takes it back: LIDs by PortInfo, then the LFT Sets wave by wave (back:
 * the other way round), each wave acknowledged before the next. May be repeated; does what is left.
 * One thread.
 */
#ifndef TETHER_CHANGE_APPLY_H
#define TETHER_CHANGE_APPLY_H

#include "sm-side/raw/change_left.h"
#include "sm-side/raw/fabric_read_umad.h"

struct apply_settings {
	bool by_lid;
	unsigned packet_lifetime_ms; /* the pause after wave 0, where the order asks for one */
	uint64_t deadline_ns;
};

struct apply_result {
	struct plan_counts sent; /* without repetitions */
	uint32_t resent;
	uint32_t waves;
	uint64_t lids_us; /* from the first PortInfo Set to the last one's answer */
	uint64_t sets_us; /* the same of the LFT Sets */
};

/*
 * The blocks and ports of @change are read into @fabric (fabric_read_again), then what is left is
 * done. Errors of fabric_read_again, change_left and the sender (-ETIMEDOUT, -EREMOTEIO); -EACCES:
 * somebody concerned has an M_Key. *@why is a sentence. *@result is written in any case:
 * result->sent says whether anything was.
 */
int change_apply(struct umad_window *window, struct fabric_read *fabric,
        const struct fabric_change *change, enum change_direction direction,
        const struct apply_settings *settings, struct apply_result *result,
        char why[READ_WHY_BYTES]);

/* Read again, and is nothing left? 0; -EUCLEAN: something is, *@why says how much; as above. */
int change_verify(struct umad_window *window, struct fabric_read *fabric,
        const struct fabric_change *change, enum change_direction direction,
        const struct apply_settings *settings, char why[READ_WHY_BYTES]);

#endif
