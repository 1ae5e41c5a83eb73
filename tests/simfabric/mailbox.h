/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One mailbox for each open umad port: its agents (who takes which class and method) and the MADs
 * that wait for it. A client blocks on the mailbox's FIFO, which holds a byte while messages may be
 * waiting; everything else is in the shared file. All calls under the fabric's lock.
 */
#ifndef SIMFABRIC_MAILBOX_H
#define SIMFABRIC_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "simfabric/messages.h"
#include "simfabric/shared_file.h"

enum {
	MAILBOXES_MAX = 4096,
	MAILBOX_AGENTS = 32, /* the kernel's limit for one file */
	MAILBOX_MAX_QUEUED_BYTES = 64 << 20,
};

struct agent {
	uint8_t is_used;
	uint8_t mgmt_class;
	uint8_t class_version;
	uint8_t rmpp_version;
	uint8_t oui[3];
	uint8_t reserved;
	uint64_t methods[2]; /* that it takes as requests; none: it only asks */
};

struct mailbox {
	uint64_t is_used;
	uint32_t client;
	uint32_t port;
	uint32_t generation;   /* tells the users of a row apart */
	uint32_t next_on_port; /* index + 1 */
	uint32_t head, tail;   /* messages; index + 1 */
	uint32_t is_wake_written;
	uint32_t dropped; /* because the queue was full */
	uint64_t queued_bytes;
	struct agent agents[MAILBOX_AGENTS];
};

/* For @fabric's client, which must have joined, on an end port. -ENFILE: none free. */
int mailbox_open(struct fabric *fabric, uint32_t port, uint32_t *index);
void mailbox_close(struct fabric *fabric, uint32_t index);
struct mailbox *mailbox_at(const struct fabric *fabric, uint32_t index);
/* First mailbox of @port and those behind it, as index + 1; 0: no more. */
uint32_t mailbox_first(const struct fabric *fabric, uint32_t port);

/*
 * Returns the agent's id in the mailbox. -EINVAL: another agent of the port takes one of the
 * methods of this class (and, for vendor classes 0x30 to 0x4f, this OUI); -ENOMEM: 32 agents
 * already.
 */
int agent_register(struct fabric *fabric, uint32_t mailbox, const struct agent *agent);
int agent_unregister(struct fabric *fabric, uint32_t mailbox, unsigned id);
/* What stands in the upper half of the TIDs of an agent's requests. */
uint32_t agent_tid_high(const struct fabric *fabric, uint32_t mailbox, unsigned id);
/* Who at @port sent the request with this TID; false: nobody, any more. */
bool agent_of_response(
        const struct fabric *fabric, uint32_t port, uint64_t tid, uint32_t *mailbox, unsigned *id);
/* Who at @port takes this request or unasked message; false: nobody. */
bool agent_of_request(const struct fabric *fabric, uint32_t port, const uint8_t *mad, size_t bytes,
        uint32_t *mailbox, unsigned *id);

/* Queue @message and wake the mailbox's client; frees it (returning false) if the queue is full. */
bool mailbox_post(struct fabric *fabric, uint32_t index, uint32_t message);
/* The first message, NO_INDEX: none. It stays the queue's until it is taken. */
uint32_t mailbox_peek(const struct fabric *fabric, uint32_t index);
uint32_t mailbox_take(struct fabric *fabric, uint32_t index);
/* The client found the queue empty: empty the FIFO, so that it can wait on it. */
void mailbox_sleep(struct fabric *fabric, uint32_t index, int fifo);

/* Close the descriptors that this handle keeps for waking others. */
void mailbox_forget_wakes(struct fabric *fabric);

size_t mailboxes_size(const struct net *net);
void mailboxes_recover(struct fabric *fabric);
void mailboxes_client_gone(struct fabric *fabric, uint32_t client);

#endif
