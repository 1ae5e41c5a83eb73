/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One queue pair and what belongs to it. Each side of a lane is an owner, who opens parts of its
 * memory to the other by memory windows, and the other's guest, who writes there and reads it
 * again; both at the same time. One thread.
 *
 * A round: the owner binds a window of type 2 and one of type 1, and in the same breath sends an
 * OFFER of both. The guest writes a pattern through each, reads it back, and answers DONE, every
 * other time by a SEND that invalidates the first window; else the owner does. The owner compares
 * all of its memory with what it has to be. END instead of an OFFER: there are no more.
 */
#ifndef WINDOW_VERIFY_LANE_H
#define WINDOW_VERIFY_LANE_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/verify/device.h"

enum {
	LANE_BYTES = 1 << 15, /* that an owner opens parts of; one half for each type */
	MESSAGES = 8,         /* slots of either kind */
	SEND_DEPTH = 32,
};

enum message_kind { MESSAGE_OFFER = 1, MESSAGE_DONE, MESSAGE_END };

struct part {
	uint64_t addr;
	uint32_t length, rkey;
};

struct message {
	uint32_t kind, round;
	struct part parts[2]; /* OFFER: of type 2, and of type 1 */
	uint32_t invalidates; /* DONE: by the message itself */
	uint32_t stop;        /* no more offers are wanted */
};

struct verdict {
	uint64_t rounds, bytes, invalidations, corrupted, errors;
};

struct lane {
	unsigned number;
	bool builds; /* by ibv_wr_*, others by ibv_post_send */
	struct ibv_pd *pd;
	struct ibv_qp *qp;
	struct ibv_cq *cq;
	struct ibv_mr *mr; /* of all that follows */
	struct memory {
		uint8_t open[LANE_BYTES];   /* to the guest */
		uint8_t expect[LANE_BYTES]; /* what is to be there; nobody writes here */
		uint8_t pattern[LANE_BYTES], back[LANE_BYTES]; /* of the guest */
		struct message sent[MESSAGES], received[MESSAGES];
	} * memory;
	uint32_t messages_sent, sends_open;
	/* To go on with when no message of ours is open: the queue has room then. */
	bool owner_is_due, guest_is_due;
	/* Owner. */
	struct ibv_mw *mws[2]; /* of type 2, and of type 1 */
	uint32_t round;
	struct message offer;
	bool is_bound; /* it was not invalidated by the guest */
	bool own_end;
	/* Guest. */
	struct message asked;
	bool other_end;
	bool stop; /* no more offers are to be made */
	struct verdict verdict;
};

/* 0 or -errno. The queue pair is in RESET. */
int lane_open(struct lane *lane, struct ibv_context *context, struct ibv_pd *pd, struct ibv_cq *cq);
void lane_close(struct lane *lane);
/* @gid_index: of the GRH; -1: by LID alone. */
int lane_connect(
        struct lane *lane, const struct port_address *other, int gid_index, uint32_t remote_qpn);

/* The first offer. */
void lane_begin(struct lane *lane);
/* A completion of this lane's. */
void lane_take(struct lane *lane, const struct ibv_wc *wc);
bool lane_is_over(const struct lane *lane);

/* For owner.c and guest.c: post work, noting what fails. */
enum { WR_SEND = 1, WR_BIND, WR_INVALIDATE, WR_READ, WR_OTHER };
void lane_send(struct lane *lane, const struct message *message, uint32_t invalidates);
void lane_bind(struct lane *lane, uint32_t rkey, const struct ibv_mw_bind_info *info, bool signals);
void lane_invalidate(struct lane *lane, uint32_t rkey, bool signals);
void lane_transfer(struct lane *lane, enum ibv_wr_opcode opcode, const struct part *part,
        const void *at, bool signals);
void lane_note(struct lane *lane, const char *what, int err);

void owner_offers(struct lane *lane);
/* After an answer: another offer, or the end. */
void owner_goes_on(struct lane *lane);
void owner_takes_done(struct lane *lane, const struct message *message, const struct ibv_wc *wc);
/* Write and read as was offered. */
void guest_goes_on(struct lane *lane);
void guest_has_read(struct lane *lane);

/* What the guest of @lane writes in a round. */
uint8_t pattern_byte(unsigned lane, uint32_t round, uint64_t at);

#endif
