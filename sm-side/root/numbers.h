/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The numbers of VMs that have moved: which real QPN and rkey stand behind what applications know.
 * Peers that connect later ask for them (questions.h). They are a context's, and good for as long
 * as its process announces it: a LID is another VM's sooner or later. Pure; belongs to the root and
 * its thread.
 */
#ifndef TETHER_NUMBERS_H
#define TETHER_NUMBERS_H

#include "notifier/relay/interest.h"
#include "tether.pb-c.h"

struct numbers_row;
struct numbers {
	struct numbers_row *first;
};

/* What is announced under @address now (interest.h); NULL: nothing. */
typedef const struct address *numbers_announced(void *owner, const struct address *address);

void numbers_clear(struct numbers *numbers);

/*
 * From now on those of the VM at @address are its rows in @qps, and of @keys those of its contexts
 * there; @gids has the GIDs of the names in them. @shared_port: its GID names it, since the LID is
 * others' too; a context goes on being known under the LID that it had first. -ENOMEM: none are.
 */
int numbers_set(struct numbers *numbers, const struct address *address, bool shared_port,
        const Tether__QpRows *qps, const Tether__KeyRows *keys, const Tether__GidRows *gids);

/* Some of the contexts that the numbers of the VM at @address are of are not announced. */
bool numbers_are_doubtful(const struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner);
/* Those are gone. */
void numbers_forget_doubtful(struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner);
/* @context is. */
void numbers_forget_context(
        struct numbers *numbers, const struct address *address, uint32_t context);

/*
 * Append the row of QP @qpn of the VM at @address, and the keys of that QP's context; nothing where
 * there is none, or its context is not announced. A queue pair that is announced itself was made
 * since the move: its number is its own, keys of its context may not be. @datagrams: it is
 * connected to nobody. The GID of where it is goes along. The caller clears them. -ENOMEM.
 */
int numbers_find(const struct numbers *numbers, const struct address *address, uint32_t qpn,
        bool datagrams, numbers_announced *announced, void *owner, Tether__QpRows *qps,
        Tether__KeyRows *keys, Tether__GidRows *gids);

/*
 * Append the row of each QP at @address that is reached by datagrams and has another number now, or
 * under Shared Port is known elsewhere, of contexts that are announced; without what a datagram
 * does not need. At a GID they are those that are known by it, and those that are there and known
 * by another, since a datagram comes from the one that the device has now; the GIDs of both go
 * along. -ENOMEM.
 */
int numbers_find_datagrams(const struct numbers *numbers, const struct address *address,
        numbers_announced *announced, void *owner, Tether__QpRows *qps, Tether__GidRows *gids);

/* The LID of each of the queue pairs of the VM @vm under Shared Port, as peers know them. False: so
 * said @each. */
bool numbers_each_lid(const struct numbers *numbers, const struct address *vm,
        bool (*each)(void *owner, uint32_t lid), void *owner);
/* Append the rows of other such VMs that numbers_find_datagrams would find at @lid. -ENOMEM. */
int numbers_add_others(
        const struct numbers *numbers, const struct address *vm, uint32_t lid, Tether__QpRows *qps);

#endif
