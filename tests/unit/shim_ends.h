/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One end of a connection over the fake HCA: a device, what is made on it, and a queue pair that is
 * connected to another end.
 */
#ifndef TEST_SHIM_ENDS_H
#define TEST_SHIM_ENDS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

struct harness;

enum {
	HARNESS_BYTES = 16384,
	HARNESS_DEPTH = 8,
	HARNESS_FIRST_PSN = 0xfffffa,
	HARNESS_QKEY = 0x11
};

struct end {
	bool with_channel;
	bool shares_context; /* with the other end, which closes it */
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct ibv_ah *ah; /* of a UD queue pair: to the other end, which has */
	uint32_t remote_qpn;
	uint8_t *memory;   /* registered, HARNESS_BYTES */
	union ibv_gid gid; /* on Ethernet, that it tells others, and its index */
	uint8_t gid_index;
};

/* What ends tell each other on Ethernet. */
enum harness_gids { GIDS_LINK_LOCAL, GIDS_OF_IPV4 };

/* Of the device at @lid: all but a queue pair. */
void end_open(struct end *end, uint16_t lid, bool with_srq);
/* The same in a context that is open. */
void end_make(struct end *end, bool with_srq);
/* On Ethernet: the GID of that kind that its port shows now. */
void end_choose_gid(struct end *end, enum harness_gids gids);
void end_close(struct end *end);

/* A queue pair in RESET, as the harness wants it. */
void end_create_qp(struct end *end, const struct harness *h);
/* To RTS; @to is at @lid. */
void end_connect(struct end *end, const struct end *to, uint16_t lid);
/* To that end, as the other knows it: @lid, or on Ethernet its GID. */
struct ibv_ah_attr end_address(const struct end *from, const struct end *to, uint16_t lid);

#endif
