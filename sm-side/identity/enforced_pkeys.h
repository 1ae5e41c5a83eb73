/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What OpenSM's partition manager wants the switch port before an end port to let through. It keeps
 * no such table: it packs the one that it wants in the end port, so this does, too. OpenSM's lock
 * is held.
 */
#ifndef TETHER_ENFORCED_PKEYS_H
#define TETHER_ENFORCED_PKEYS_H

#include <stdbool.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

/* The switch port before @ca. NULL: none, or nothing is to be enforced there, or no sweep has found
 * out yet what. */
osm_physp_t *enforced_pkeys_port(const osm_opensm_t *osm, const osm_physp_t *ca);

/* Block @block as it should be; true: as it was last read or written. */
bool enforced_pkeys_stand(const osm_physp_t *switch_port, const osm_physp_t *ca, unsigned block,
        ib_pkey_table_t *wanted);

#endif
