/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A tree of relays without links: what one says lies in a queue until the other is given it. At the
 * top the root, at the bottom hosts with processes that answer by themselves unless they are told
 * to be silent. What each process was given is counted.
 */
#ifndef TETHER_TESTS_RELAY_TREE_H
#define TETHER_TESTS_RELAY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/relay/relay.h"

enum { TREE_NODES_MOST = 256 };

struct tree_node {
	const char *kind; /* "root", "between", "host", "guest" or "process" */
	char name[32];
	char vm[16];     /* process, guest: of which; host: see vms */
	char vms[4][16]; /* host */
	size_t vms_count;
	uint16_t lids[8]; /* process: interest */
	size_t lids_count;
	size_t parent;
	struct relay *relay; /* NULL: a process, or one that is down */
	uint32_t link;       /* what the parent calls it; 0: no link */
	bool silent;         /* process: answers nothing */
	bool ended;          /* process: it has, and says nothing any more */
	bool takes_part;     /* process: in migration 1, as its HELLO says */
	unsigned answers;    /* process: that it has said */
	unsigned events;     /* that came over its link from above */
	unsigned steps;      /* process: which those were of, as bits */
	unsigned orders;     /* host: carried out */
	unsigned moved;      /* how often its owner was told that a VM has moved */
	unsigned links_lost;
};

struct tree {
	struct tree_node nodes[TREE_NODES_MOST];
	size_t count;
	uint64_t now_ms;
	struct letter *letters, **letters_end;
	Tether__Answer *answer; /* the root's last */
	unsigned answers;
	unsigned registered; /* acknowledgements that reached processes */
	unsigned held;       /* and words that a registration is held */
	unsigned refused;    /* and that it is refused */
	unsigned hosts_here; /* as the root was told */
	bool register_more;
};

struct tree *tree_create(void);
void tree_destroy(struct tree *tree);

/* Each returns the new node's number; it has said HELLO when the next tree_run is over. */
size_t tree_between(struct tree *tree, size_t parent, const char *name);
size_t tree_host(struct tree *tree, size_t parent, const char *name);
/* @host has @vm from now on; before its first HELLO. */
void tree_vm(struct tree *tree, size_t host, const char *vm);
/* The agent in a VM that @host has. */
size_t tree_guest(struct tree *tree, size_t host, const char *vm);
/* @host: or the guest of @vm. */
size_t tree_process(struct tree *tree, size_t host, const char *vm, unsigned pid,
        const uint16_t *lids, size_t lids_count);
/* Say HELLO over a new link. */
void tree_connect(struct tree *tree, size_t node);
/* Its link to its parent is lost; both see it at once. */
void tree_cut(struct tree *tree, size_t node);
/* The process has ended, as its agent sees if it has a link to it; it does not come again. */
void tree_process_ends(struct tree *tree, size_t process);
/* The agent is killed: its links are lost, and it knows nothing any more. */
void tree_kill(struct tree *tree, size_t node);
/* A new one, of the same name and epoch, that nobody is connected to yet. */
void tree_start(struct tree *tree, size_t node);
/* Killed, started and connected, and all has been delivered; those below are still to connect. */
void tree_restart(struct tree *tree, size_t node);

/* A process says that it connects to @lid, to @remote_qpn there (0: it does not say), or that it
 * lets go. */
void tree_interest(struct tree *tree, size_t process, uint16_t lid, uint32_t remote_qpn, bool drop);

/* Deliver letters until there are none: in the order in which they were said. */
void tree_run(struct tree *tree);
/* The first that lies there, or one of the @among first links that have any (what one link carries
 * stays in order). False: none. */
bool tree_deliver(struct tree *tree, unsigned among);
void tree_pass(struct tree *tree, uint64_t ms);

/* The root says where @vm is: which host has it, which is about to ("": none), its LID and P_Key.
 */
void tree_place(struct tree *tree, const char *vm, const char *host, const char *next, uint32_t lid,
        uint32_t pkey);

/* Events that nodes were given, and the answer, are forgotten. */
void tree_forget(struct tree *tree);
/* The root's own event. */
void tree_event(struct tree *tree, const Tether__Event *event);
/* The root's last answer names @node as one that has answered, or has not. */
bool tree_answered(const struct tree *tree, size_t node);
bool tree_missing(const struct tree *tree, size_t node);

#endif
