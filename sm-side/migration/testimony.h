/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What has been said in the course of one migration: who could not and why, which processes take
 * part, their QPs, evidence, keys and counts. Pure; belongs to its migration and its thread.
 *
 * QPs are rows of (local, remote) as the applications know them, so a pair is two rows with local
 * and remote exchanged. Rows of the VM are those whose local LID is one of the VM's; under Shared
 * Port, where it is others' too, those that say so.
 */
#ifndef TETHER_TESTIMONY_H
#define TETHER_TESTIMONY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct finding {
	char *who;
	char *reason; /* a name */
	char *text;   /* a sentence for the operator */
};

struct testimony {
	struct finding *findings;
	size_t finding_count;
	char **processes; /* HELLO names of those that answered the last step; the VM's come first
	                   */
	size_t process_count, vm_process_count;
	Tether__EvidenceRows evidence;
	Tether__QpRows qps;
	Tether__KeyRows keys;
	Tether__GidRows gids;   /* of the names in qps */
	Tether__PathRows paths; /* as the SM says (sm_paths.h) */
	Tether__Counts counts;
	bool shared_port;           /* its rows say themselves that they are the VM's */
	const uint32_t *other_lids; /* of the VM, beside the one that is said; its migration's */
	size_t other_lid_count;
	/* For texts: which GID has that name. NULL: nobody can say. */
	bool (*gid_of)(void *owner, uint32_t name, uint8_t gid[16]);
	void *gid_owner;
	bool rebuilt; /* the VM's rows are of ATTACH */
	bool broken;  /* a QP is in ERR by a shim's doing, so plain reopening would not do */
};

void testimony_init(struct testimony *testimony);
void testimony_clear(struct testimony *testimony);

/* Note that @who has a reason, once. -ENOMEM. */
int testimony_find(
        struct testimony *testimony, const char *who, const char *reason, const char *text);

/*
 * Take the tree's answer to a step. Rows of a later step supersede earlier ones: STOP and SETTLE
 * all QPs and evidence, ATTACH the VM's QPs and keys. -EBADMSG: columns of unequal length, or more
 * GIDs than there can be, nothing was taken; -ENOMEM.
 */
int testimony_take(
        struct testimony *testimony, const char *vm, uint32_t vm_lid, const Tether__Answer *answer);

/*
 * Find every QP that is connected to one that nobody has shown (datagram QPs are to none), one of
 * the two being the VM's: "peer-without-shim" where the peer's is not shown, "vm-qp-without-shim"
 * where the VM's is not (a process without libtether, or whose agent has just been restarted, or
 * that has ended). Returns their number or -ENOMEM.
 */
int testimony_find_unpaired(struct testimony *testimony, uint32_t vm_lid);

/* "VM/PID.START" */
bool testimony_is_of_vm(const char *process, const char *vm);
size_t testimony_count_of_vm(char *const *names, size_t count, const char *vm);

/*
 * For the journal: rows and processes as one packed Answer, which the caller frees. unpack replaces
 * what is there; -EBADMSG: not such bytes.
 */
int testimony_pack(const struct testimony *testimony, uint8_t **bytes, size_t *length);
int testimony_unpack(
        struct testimony *testimony, const char *vm, const uint8_t *bytes, size_t length);

#endif
