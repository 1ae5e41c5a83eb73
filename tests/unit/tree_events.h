/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the root of a tree of relays says in a migration. */
#ifndef TETHER_TESTS_TREE_EVENTS_H
#define TETHER_TESTS_TREE_EVENTS_H

#include "tests/unit/relay_tree.h"

enum { DEADLINE_MS = 1000 };

/* Of migration 1 and epoch 1, for nobody yet. @address becomes that of @vm. */
Tether__Event event_of(Tether__Step step, uint32_t sequence, const char *vm,
        Tether__Address *address, uint16_t lid);
/* To @vm and its peers; it waits for those @expected that are not there, too. */
void event_all(struct tree *tree, Tether__Step step, uint32_t sequence, const char *vm,
        uint16_t lid, char **expected, size_t expected_count);
/* @host is to take the device of vm1. */
void event_order(struct tree *tree, uint32_t sequence, const char *host);
/* @vm has come to @lid; until everybody has heard it. */
void event_moved(
        struct tree *tree, uint32_t sequence, uint64_t epoch, const char *vm, uint16_t lid);

#endif
