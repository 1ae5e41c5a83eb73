/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What this process knows of one migration. A process can take part in several at a time (as the
 * peer of several VMs), a queue pair in one. The service thread's.
 */
#ifndef TETHER_MOVE_H
#define TETHER_MOVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "preload/objects.h"
#include "tether.pb-c.h"

enum move_state {
	MOVE_KNOWN,     /* nothing is touched */
	MOVE_STOPPED,   /* send gates are held */
	MOVE_VOTED,     /* queue pairs are in ERR; what happens next is not ours to decide */
	MOVE_RELEASED,  /* committed: settled, and the VM's contexts are closed */
	MOVE_ATTACHED,  /* the VM's objects stand again, in INIT */
	MOVE_CONNECTED, /* everybody in RTR */
	MOVE_ENDED,     /* kept only to repeat its last answer */
};

struct move {
	uint64_t id, epoch;
	uint32_t sequence; /* of the last event */
	enum move_state state;
	uint32_t lid; /* the VM's */
	union ibv_gid gid;
	bool has_gid;
	/* More of its address: move_address.h. */
	bool knows_address;
	bool shared_port; /* the LID is not the VM's alone */
	uint32_t *known_lids;
	size_t known_lid_count;
	uint64_t *vm_qps; /* sorted; NULL: not known yet */
	size_t vm_qp_count;
	bool of_our_vm;       /* this process is in the VM */
	bool of_a_peer;       /* it holds the other end of a connection to it, too */
	bool keeps_datagrams; /* what is sent to the VM: */
	struct datagram_numbers **kept_for;
	size_t kept_for_count;
	uint64_t arrivals_ms; /* when something came last that others have sent; 0: not looked yet
	                       */
	uint32_t arrivals_seen;
	enum context_phase phase; /* of the VM's contexts */
	uint32_t lease_ms;        /* so long without a word, before the vote: go on alone */
	uint64_t lease_end_ms;
	bool went_on_alone;       /* at its end, and was not stopped again */
	uint64_t overall_end_ms;  /* 0: none */
	Tether__Event *event;     /* being carried out */
	uint64_t event_ms;        /* when it came */
	bool begun;               /* its first part is done */
	bool lost_its_device;     /* before the vote: it ends here */
	Tether__Answer *answered; /* the last one, to be repeated */
	Tether__Counts counts;
	TAILQ_ENTRY(move) link;
	TAILQ_ENTRY(move) phase_link; /* while @phase is not RUNNING */
};

/* The context is the VM's: it moves. */
bool move_has_context(const struct move *move, const struct context *context);
/* And it has not been lost for good. */
bool move_takes_along(const struct move *move, const struct context *context);
/* The phase of the VM's contexts, of those too that are opened from now on; control verbs kept out.
 */
void move_set_phase(struct move *move, enum context_phase phase);
/* For what is being opened, a control verb: its phase; whether it has to wait until it is back. */
enum context_phase move_phase_of(const struct context *context);
bool move_has_taken(struct device *device);
/* The VM of this process is without a device, or with one that is not to be opened yet. */
bool move_has_taken_some(void);
/* The queue pair is connected to the VM. */
bool move_has_peer(const struct move *move, const struct queue_pair *qp);

/*
 * Note whose queue pairs are concerned: every connected one of the VM's contexts, and to the VM.
 * False: one of them is in the middle of another migration.
 */
bool move_concern(struct move *move);
/* A migration that has stopped it ends it, or lets it go. */
static inline bool queue_pair_is_in_hand(const struct queue_pair *qp)
{
	return qp->migration.move && qp->migration.move->state != MOVE_KNOWN;
}
unsigned move_count_concerned(const struct move *move);
/* Nothing is concerned any more. */
void move_forget(struct move *move);

/*
 * The queue pair whose other end says a row with these names. Rows are found by the number of ours
 * that they name, which several devices of this process may use.
 */
struct pair_names {
	uint32_t local_lid, local_qpn, remote_lid, remote_qpn; /* as the other end says them */
};
bool pair_names_are_of(const struct pair_names *names, const struct queue_pair *qp);
struct queue_pair *move_find(const struct move *move, const struct pair_names *names);

#define EACH_QUEUE_PAIR(context, qp)                                                               \
	TAILQ_FOREACH(context, &contexts, link)                                                    \
	TAILQ_FOREACH(qp, &context->qps, link)
#define EACH_CONCERNED(move_, context, qp)                                                         \
	EACH_QUEUE_PAIR(context, qp)                                                               \
	if (qp->migration.move == (move_))
/* The VM's contexts but for those that are lost. */
#define EACH_MOVING(move_, context)                                                                \
	TAILQ_FOREACH(context, &contexts, link)                                                    \
	if (move_takes_along(move_, context))

#endif
