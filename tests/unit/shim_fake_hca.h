/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Verbs without a device, in place of preload/real_verbs.c: two HCAs with LIDs 1 and 2 in this
 * process, and slots to which the first can move. Nothing happens by itself: a test says how much
 * work is executed at the responder, and which acknowledgements arrive.
 *
 * As strict as hardware: keys are checked, numbers differ from slot to slot, RESET forgets, ERR
 * gives back every unfinished work request.
 *
 * This is what tests say and ask. The verbs are in a room for each kind of object: devices, memory,
 * completions, queue_pairs, shared_queues; what is executed in shim_fake_wire.c.
 */
#ifndef TEST_SHIM_FAKE_HCA_H
#define TEST_SHIM_FAKE_HCA_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	FAKE_LID_VM = 1,
	FAKE_LID_PEER = 2,
	FAKE_HOST_PEER = 9,
	FAKE_MTU = 1024,
	FAKE_VENDOR_COUNTS = 0x02c9
};

struct fake {
	/* What is listed; the VM's HCA is in slot `slot` of several, or away (-1). */
	int slot;
	bool peer_is_hidden;      /* from the list of devices */
	bool peer_is_unreachable; /* its addresses cannot be looked up; on Ethernet */
	bool ethernet;            /* all ports: shim_fake_ethernet.h */
	bool address_stays;       /* the VM takes its IPv4 address along */
	bool has_no_routes;       /* of its network yet; on Ethernet */
	bool second_address;      /* it has another in its first slot */
	bool guids_differ;        /* each slot has another: it does not move with the VM */
	bool lacks_ipv4;          /* the VM's port has none yet */
	unsigned unreached;       /* so many RTRs do not find who they lead to */
	/* 1 << slot: taken away while open. What was completed can be polled, everything else
	 * answers EIO, and nothing is flushed. */
	unsigned gone;
	bool peer_is_gone; /* likewise */
	bool gone_refuses; /* what is posted then, and to be armed */
	bool refuses_work; /* likewise, though it is there */
	/* Work is executed and acknowledged as soon as it is posted. */
	bool automatic;
	/* Posts fail from the n-th work request of a list on; -1: they do not. */
	int post_fails_at;
	bool err_flushes_receives;
	bool reset_purges;
	bool err_gives_back_what_was_sent; /* without acknowledgements: what has no completion */
	bool psns_are_live;
	bool sq_psns_are_as_given; /* in RTS */
	bool rq_psns_are_as_given; /* in RTR */
	uint32_t part;             /* vendor_part_id */
	/* Receive completions are kept back until fake_release_receives. */
	bool hold_receives;
	/* What ERR gives back is kept back until fake_release_flushes. */
	bool hold_flushes;
	bool hold_failures; /* and those, until flushes are released */
	const struct ibv_qp *does_not_reset;
	bool keeps_events;  /* of completions: they never come */
	bool delays_events; /* likewise: not before fake_delayed_events */
	bool makes_no_qps, makes_no_srqs, destroys_no_qps;
	bool says_not_why;  /* errno is 0 where something is not made */
	int joins_no_group; /* with this LID; 0: all */
	bool opens_no_more;
	bool resizes_no_cqs, moderates_no_cqs, destroys_no_cqs;
	bool rereg_changes_keys;
	bool has_no_windows, reset_keeps_windows;
	bool sets_window_keys;    /* of type 2, where a bind is posted */
	bool delays_local_work;   /* until fake_execute */
	int xrcd_fd, xrcd_oflags; /* of the XRC domain opened last */
	/* Called once, by the next that posts a send, polls, allocates a domain, asks for a
	 * port or gets an asynchronous event. */
	void (*inside)(void);
	struct ibv_context *asked;               /* the last one, for a port */
	const struct ibv_device_attr_ex *offers; /* what is opened from now on; NULL: the least */
	unsigned opens, closes;                  /* of contexts */
	unsigned qps_made, handles_asked_for;
	_Atomic unsigned live_objects; /* of all kinds, contexts too */
};
extern struct fake fake;

void fake_reset(void);

/*
 * Execute @messages of what @virtual_qp's present real queue pair has posted, at its responder.
 * @acknowledged: their completions are there too. Returns how many were; fewer where a RECV lacks.
 */
unsigned fake_execute(const struct ibv_qp *real_qp, unsigned messages, bool acknowledged);
/* All that was executed has its completion; what a READ brings is not there. */
void fake_acknowledge(const struct ibv_qp *real_qp);
/* Some queue pair goes on by a message or two, acknowledged or not, or is acknowledged. */
void fake_stir(unsigned *seed);
/* The responder accepts @packets of the next message, which is longer. */
void fake_execute_part(const struct ibv_qp *real_qp, unsigned packets);
void fake_release_receives(void);
void fake_release_flushes(void);
/* The other end becomes another one, unheard of by anybody. */
void fake_aim(const struct ibv_qp *real_qp, const struct ibv_qp_attr *attr);
/* The VM's HCA gives this number to what is made next, and counts on. */
void fake_next_number(uint32_t number);
/* How many work requests it has that were not executed; receives that are posted. */
unsigned fake_pending(const struct ibv_qp *real_qp);
unsigned fake_receives(const struct ibv_qp *real_qp);

/* What it was set to last. */
uint16_t fake_qp_pkey_index(const struct ibv_qp *real_qp);
const struct ibv_ah_attr *fake_qp_ah_attr(const struct ibv_qp *real_qp);
uint32_t fake_qp_dest(const struct ibv_qp *real_qp);
const struct ibv_ah_attr *fake_ah_attr(const struct ibv_ah *real_ah);

#endif
