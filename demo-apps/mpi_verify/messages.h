/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Point-to-point messages: one stream for each check, peer and tag, its messages numbered by both
 * ends.
 */
#ifndef MPI_VERIFY_MESSAGES_H
#define MPI_VERIFY_MESSAGES_H

#include "demo-apps/mpi_verify/job.h"

enum {
	STREAM_TAGS = 8,
};

/* The tag that MPI sees: another for each check, so that checks may overlap. */
int message_tag(const struct job *job, int tag);
/* 0..STREAM_TAGS - 1; -1: not one of the check that is running. */
int message_tag_of(const struct job *job, int mpi_tag);

/* Fill the next message of the stream to @peer. */
void message_fill(struct job *job, int peer, int tag, void *at, size_t length);

/* A buffer for @length bytes and what must stay as it is behind them. */
unsigned char *message_buffer(size_t length);
/* @got bytes have come from @peer where @expected should. */
void message_check(struct job *job, int peer, int tag, const void *at, size_t got, size_t expected);
/* The same, with a status that must say who, which tag and how much. */
void message_check_status(struct job *job, int peer, int tag, const void *at,
        const MPI_Status *status, size_t expected);

#endif
