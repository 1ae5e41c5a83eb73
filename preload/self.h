/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who this process is, for its HELLO. */
#ifndef TETHER_SELF_H
#define TETHER_SELF_H

#include <stddef.h>

/* "VM/PID.START", START in clock ticks since boot, so that no later process has the same name. */
void self_name(const char *vm, char *name, size_t size);
/* The kernel's name of the program. */
void self_program(char *name, size_t size);

#endif
