/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Children of fork(2) that have not called exec: they share the open device, so it cannot leave
 * while they live, whatever this process closes. Each inherits the writing end of a pipe that is
 * there while a device is open, and that exec closes; while one of them lives, the pipe has not
 * hung up. Costs nothing at a fork. Any thread.
 */
#ifndef TETHER_FORK_WATCH_H
#define TETHER_FORK_WATCH_H

#include <stdbool.h>

/* Before a device is opened, and after it was closed (or could not be opened); they count. */
void fork_watch_begin(void);
void fork_watch_end(void);

/* Somebody shares what is open here. One that is on its way to exec is given @patience_ms. */
bool fork_watch_finds_child(int patience_ms);

/* This process is such a child, or the child of one. */
bool fork_watch_is_child(void);

/* Around fork(2), so that the child finds everything whole. */
void fork_watch_before_fork(void);
void fork_watch_in_parent(void);
void fork_watch_in_child(void);

#endif
