/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Contexts as the application sees them: what they answer stays what it was, whatever device stands
 * behind them.
 */
#ifndef TETHER_DEVICE_H
#define TETHER_DEVICE_H

#include "preload/objects.h"

/*
 * The service thread, control verbs kept out: let go of the real context, and open the device that
 * has taken the old one's place. -ENODEV: there is none yet; -errno: it cannot be opened.
 */
void context_close_real(struct context *context);
int context_open_real(struct context *context);

/* In a child after fork: what is open is the parent's, and so are the moves that hold it. */
void contexts_forget(void);

/* Another number, if nobody knows it by the one that it has. */
void context_draw_number(struct context *context);

/* Learn LID and GID of the ports whose LID was not known. */
void context_learn_ports(struct context *context);
/* Under which LIDs it is reached on the device that it has now. */
void context_learn_real_lids(struct context *context);

/* One of PORTS_MAX has this LID, or a GID of that name. */
bool ports_have_lid(const struct port *ports, uint32_t lid);
bool ports_have_gid(const struct port *ports, const union ibv_gid *gid);

/* The application opened devices by other ways than ibv_open_device. */
extern bool device_was_imported;
/* It has libibverbs where this library is not. */
extern bool verbs_are_elsewhere;

#endif
