/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The road of one migration: which states of the table it steps over or goes through instead, whom
 * it asks in each, and what an orchestrator has to report before. Pure.
 */
#ifndef TETHER_MIGRATION_ROAD_H
#define TETHER_MIGRATION_ROAD_H

#include "sm-side/migration/migration.h"

/* The state that it comes to where the table says @state. */
enum migration_state migration_road_entered(
        const struct migration *migration, enum migration_state state);
/* Who is asked in @state. */
unsigned migration_road_parties(const struct migration *migration, enum migration_state state);
/* What is awaited before the host is asked; NONE: nothing. */
enum migration_report migration_road_report(
        const struct migration *migration, enum migration_state state);
/* All that was awaited before @journalled, as bits. */
unsigned migration_road_reported(
        const struct migration *migration, enum migration_state journalled);
/* Where one begins that gives a VM its VF where it is. */
enum migration_state migration_road_reattach(const struct migration_intent *intent);

#endif
