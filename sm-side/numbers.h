/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The numbers of VMs that have moved: which real QPN and rkey stand behind what applications know.
 * Peers that connect later ask for them (tether.proto, Interest). Pure; belongs to the root and its
 * thread.
 */
#ifndef TETHER_NUMBERS_H
#define TETHER_NUMBERS_H

#include "notifier/interest.h"
#include "tether.pb-c.h"

struct numbers_row;
struct numbers {
	struct numbers_row *first;
};

void numbers_clear(struct numbers *numbers);

/* From now on those of the VM at @address are its rows in @qps, and @keys. -ENOMEM: none are. */
int numbers_set(struct numbers *numbers, const struct address *address, const Tether__QpRows *qps,
        const Tether__KeyRows *keys);

/*
 * Append the row of QP @qpn of the VM at @address, and the keys of that QP's context; nothing where
 * there is none. @announced (NULL: not) is what its owner says of a QP that was made since the
 * move: its number is its own, keys of its context may not be. The caller clears both. -ENOMEM.
 */
int numbers_find(const struct numbers *numbers, const struct address *address, uint32_t qpn,
        const struct address *announced, Tether__QpRows *qps, Tether__KeyRows *keys);

#endif
