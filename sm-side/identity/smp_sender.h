/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What writes a plan into the fabric: one interface, one file for each way of sending (suffix).
 * Functions return 0 or -errno and post without waiting; lft_wait waits. Who may call, and under
 * which lock, is said where a sender is made.
 */
#ifndef TETHER_SMP_SENDER_H
#define TETHER_SMP_SENDER_H

#include <stdint.h>

#include "sm-side/plan/plan.h"

struct smp_sender;

struct smp_sender_kind {
	const char *name;
	/*
	 * Compare and write one LFT block. -ESTALE: it is not what change->before says, nothing was
	 * written or sent. -ENOENT: no such switch. -ENOSPC: the table has no such block. After an
	 * error nothing that was written since the last lft_wait is waited for any more.
	 */
	int (*lft_write)(struct smp_sender *sender, const struct plan_change *change);
	/* Set the LID of an end port where it is now. */
	int (*lid_write)(struct smp_sender *sender, uint64_t port_guid, uint16_t lid);
	/* Set a P_Key block (64 bytes as on the wire) in the end port's CA or the switch port
	 * before it. */
	int (*pkeys_write)(struct smp_sender *sender, uint64_t port_guid, enum pkey_holder holder,
	        uint16_t block, const uint8_t *bytes);
	/*
	 * Wait until each LFT block written since the last call is acknowledged with the bytes
	 * written; send again what was lost. *@resent counts that. -ETIMEDOUT: not by @deadline_ns,
	 * or it was lost too often.
	 */
	int (*lft_wait)(struct smp_sender *sender, uint64_t deadline_ns, uint32_t *resent);
	void (*destroy)(struct smp_sender *sender);
};

struct smp_sender {
	const struct smp_sender_kind *kind;
};

struct osm_opensm;
struct osm_switch;

/*
 * Sends as OpenSM does, into its own tables and through its own queue, so that its own handlers
 * take in the responses. The writing functions are called with OpenSM's lock held exclusively and
 * sweeps held off; lft_wait without any lock. One thread at a time.
 */
struct smp_sender *smp_sender_opensm_create(struct osm_opensm *osm);

/* The event LFT_CHANGE, on OpenSM's thread and under its lock: a response has been taken in. */
void smp_sender_opensm_acknowledged(
        struct smp_sender *sender, const struct osm_switch *sw, uint32_t block);

/*
 * Ask a switch for one LFT block; the answer goes into OpenSM's own copy (lft). lft_wait waits for
 * it as for a write, whatever the bytes. Locks as for lft_write.
 */
int smp_sender_opensm_lft_read(struct smp_sender *sender, uint64_t switch_guid, uint16_t block);

/*
 * Send again what OpenSM wants of one LFT block, where no response has left these bytes in its own
 * copy. How many Sets that is (0: acknowledged, or no such block), or -errno. Waited for, and
 * locks, as for lft_write.
 */
int smp_sender_opensm_lft_again(struct smp_sender *sender, uint64_t switch_guid, uint16_t block);

/* LinearFDBTop of a switch. reread_wait waits for the response. Locks as for lft_write. */
int smp_sender_opensm_top_write(struct smp_sender *sender, uint64_t switch_guid, uint16_t top);

/* No SMP of OpenSM's is under way. */
int smp_sender_opensm_is_idle(const struct smp_sender *sender);

#endif
