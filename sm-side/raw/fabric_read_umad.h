/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Reads a fabric by directed routes from the own port, and parts of it again. It only asks (Get).
 * Whatever is linked and does not answer, or answers what cannot be, is an error that names it: a
 * view with a hole is none. One thread.
 */
#ifndef TETHER_FABRIC_READ_UMAD_H
#define TETHER_FABRIC_READ_UMAD_H

#include "sm-side/raw/fabric_read.h"
#include "sm-side/raw/umad_window.h"

enum { READ_WHY_BYTES = 320 };

struct read_settings {
	bool with_lfts;
	uint64_t deadline_ns;
};

/*
 * -EHOSTUNREACH: a hole; -EEXIST: one GUID at two places; -ETIMEDOUT, -EIO, -ENOMEM. *@why says it
 * in a sentence.
 */
int fabric_read_umad(struct umad_window *window, const struct read_settings *settings,
        struct fabric_read **fabric, char why[READ_WHY_BYTES]);

/* What shall be read again of a node: an LFT block or the PortInfo of a port. */
struct read_wish {
	uint32_t node; /* index */
	enum smp_attribute attribute;
	uint32_t modifier; /* the block, or the port's number */
};

/* Errors as above. @by_lid: ask switches by LID; CAs are always asked by directed route. */
int fabric_read_again(struct umad_window *window, struct fabric_read *fabric,
        const struct read_wish *wishes, uint32_t count, bool by_lid, uint64_t deadline_ns,
        char why[READ_WHY_BYTES]);

/* How to send to a node. By LID where asked for and the node is a switch that has one. */
struct smp_route fabric_read_route(const struct read_node *node, bool by_lid);

#endif
