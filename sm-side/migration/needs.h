/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which version of the protocol a migration needs of everybody who takes part in it. What came with
 * a version that PROTOCOL_OLDEST is older than has a row in needs.c if an older one would do wrong
 * by not knowing it (notifier/DESIGN.md, "Versions"). One thread.
 */
#ifndef TETHER_NEEDS_H
#define TETHER_NEEDS_H

#include "sm-side/migration/migration.h"

/* The operator wants at least this one of everybody; 0: any will do. */
void needs_at_least(uint32_t version);
uint32_t needs_of(const struct migration_intent *intent);

#endif
