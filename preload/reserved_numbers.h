/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * QPNs that mean somebody in this VM: numbers by which peers knew queue pairs, of any of its
 * processes, when it moved, and those that they were given then. Peers translate the one to the
 * other for as long as the VM stays, whatever has become of the queue pair: a new one must not be
 * given either. The agent says them when it makes a process welcome,
 * RECONNECT brings them up to date, HELLO gives them to an agent that has forgotten. Any thread.
 */
#ifndef TETHER_RESERVED_NUMBERS_H
#define TETHER_RESERVED_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

bool number_is_reserved(uint32_t qpn);

/* -ENOMEM: some of them are missing. */
int reserved_numbers_add(const uint32_t *qpns, size_t count);
/* Rows of the VM that moves; with @all no others are reserved any more. */
struct move;
int reserved_numbers_take(const struct move *move, const Tether__QpRows *rows, bool all);

/* All of them, the caller's to free. NULL: none, or no memory. */
uint32_t *reserved_numbers_list(size_t *count);

/* In a child after fork: its own agent will say. */
void reserved_numbers_in_child(void);

#endif
