/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The socket to the agent: frames that wait to be written, bytes that are not a whole frame yet,
 * and what of both has been lost on the way (notifier/wire/repeats.h). The service thread's alone;
 * nothing here waits.
 */
#ifndef TETHER_AGENT_SOCKET_H
#define TETHER_AGENT_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "notifier/wire/frame.h"

/* To the path of the settings. -errno */
int agent_socket_connect(void);
/* With all that was to be written or read. */
void agent_socket_close(void);
/* In a child after fork: it is the parent's. */
void agent_socket_forget(void);

/* -1: not connected. */
int agent_socket_fd(void);
bool agent_socket_has_unsent(void);
/* Another agent is behind the path by now. */
bool agent_socket_has_changed(void);

/* Written by agent_socket_flush(); nothing happens without a connection. */
void agent_socket_pack(const Tether__Frame *frame);
/* When agent_socket_turn has something to do: in so many ms, negative: not before something is
 * packed. */
int64_t agent_socket_wait(uint64_t now_ms);
/* The agent is asked what it has heard, where it is silent about that. Packs. */
void agent_socket_turn(uint64_t now_ms);
/* As much as goes now. -errno: the connection is of no more use. */
int agent_socket_flush(void);

/* Bytes that were there; 0: the agent has closed it; -EAGAIN: nothing is; -errno: as above. */
ssize_t agent_socket_receive(void);
/* 1: @frame, which the caller frees; 0: none is whole; -errno: what came is none. Heartbeats, and
 * what has come before, are taken here; what they ask for is packed. */
int agent_socket_next(Tether__Frame **frame);

#endif
