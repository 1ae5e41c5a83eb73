/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * May this process lock as much memory as it has registered (RLIMIT_MEMLOCK, CAP_IPC_LOCK)? A
 * kernel refuses to register it again if it has given that right away since, as daemons do when
 * they change their user. Any thread; lock_limit_note comes first.
 */
#ifndef TETHER_LOCK_LIMIT_H
#define TETHER_LOCK_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* A device is opened: what may be locked now. Only the first counts. */
void lock_limit_note(void);
/* Less may be locked than was then, and less than @bytes. */
bool lock_limit_forbids(uint64_t bytes);

#endif
