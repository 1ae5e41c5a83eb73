/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Address handles. Queue pairs that use them (UD) cannot move yet; handles alone can. */
#ifndef TETHER_ADDRESS_HANDLE_H
#define TETHER_ADDRESS_HANDLE_H

#include "preload/objects.h"

/* Make it again on the real domain that stands behind its own now; exclusive control section. */
int address_handle_rebuild(struct address_handle *ah);

#endif
