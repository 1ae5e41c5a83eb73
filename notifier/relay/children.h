/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The children of a relay: which link, which name, which VMs. Pure; part of relay.c and of its
 * thread. A child that has said its name outlives its link for a while, and is the same child when
 * it comes back over another.
 */
#ifndef TETHER_CHILDREN_H
#define TETHER_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "notifier/relay/count_table.h"
#include "notifier/relay/host_behind.h"
#include "notifier/relay/interest.h"
#include "tether.pb-c.h"

struct child {
	struct child *next, **at; /* what points to it */
	struct name_node named;   /* in no table until HELLO */
	TAILQ_ENTRY(child) silent;
	enum silence { SPEAKS, SILENT, AWAY } silence; /* the list that it is in */
	uint32_t link; /* what the owner calls it; found by it until another link takes its place */
	uint32_t member; /* what the registrations call it; stays when the link changes, and is
	                    another's after it */
	uint32_t member_before; /* what stands for its interests until it is back
	                           (relay_returning.c); 0: none */
	bool is_returning;
	uint64_t returns_ms; /* since when, where it does */
	bool connected;
	char *vm;      /* of the channel; NULL: see hosts */
	bool is_guest; /* the channel is that of the VM's agent */
	char *name;    /* NULL until HELLO */
	/* What its certificate says that it is; NULL: it has shown none. */
	char *certified_name;
	Tether__Role certified_role;
	Tether__Role role;
	uint32_t version;    /* of the protocol, over its link */
	uint32_t pid;        /* as a process numbers itself, if in a PID namespace of its own */
	uint32_t kernel_pid; /* as our kernel numbers it; 0: it has not said */
	char *program;
	unsigned late; /* events in a row that it has not answered in time */
	struct host_behind *hosts;
	bool said_hosts;       /* an agent between: since its HELLO, all that are behind it */
	unsigned reports_left; /* so many answers to the latest question are its to give */
	bool report_is_due;    /* and it has not said that there is no more */
	uint64_t since_ms;     /* link stands without HELLO, or is lost */
};

TAILQ_HEAD(silent_children, child);

enum {
	CHILDREN_MOST = 1 << 14,
	CHILDREN_SELF = 1, /* the member that the relay itself is */
};

struct children {
	struct child *first;
	struct child **slots; /* by the lower bits of the link */
	size_t slots_count, count;
	struct child **members; /* by their slots */
	size_t members_count;
	size_t slot_free, member_free;       /* all before are taken */
	struct name_table names, hosts;      /* of children; of those whom they stand for */
	struct silent_children silent, away; /* who has been it longest comes first */
	struct count_table of_vm;            /* by the number that its members have for it */
	uint32_t links;                      /* ever made */
};

void children_begin(struct children *children);
/* NULL: no memory, or CHILDREN_MOST. */
struct child *children_add(struct children *children, const char *vm, uint64_t now_ms);
struct child *children_by_link(const struct children *children, uint32_t link);
struct child *children_by_member(const struct children *children, uint32_t member);
struct child *children_by_name(const struct children *children, const char *name);
/* The child that is the host @name or has it behind it; @host: may be NULL. */
struct child *children_by_host(
        const struct children *children, const char *name, struct host_behind **host);
/* Somebody else who is it, or has it behind him. */
struct host_behind *children_host_elsewhere(
        const struct children *children, const struct child *child, const char *name);
/* As hosts_put, hosts_remove (host_behind.h). */
int children_host_put(struct children *children, struct child *child,
        const struct vm_places *places, const Tether__HostBehind *said,
        Tether__HostBehind **before);
void children_host_remove(struct children *children, struct host_behind *host);
/* Until it is removed; member_before stays 0 where there is no room. */
void children_member_before_make(struct children *children, struct child *child);
void children_remove(struct children *children, struct child *child);
/* @known comes back over the link of @fresh, which ends. */
void children_adopt(struct children *children, struct child *known, struct child *fresh);
/* Its link has ended. */
void children_lost(struct children *children, struct child *child, uint64_t now_ms);
void children_clear(struct children *children);

/* Copies what HELLO says. -ENOMEM */
int children_introduce(struct children *children, struct child *child, const Tether__Hello *hello);
bool child_has_vm(const struct child *child, const char *vm);
bool child_is_process(const struct child *child);
/* It is here, and what is behind it is known: what it is handed is whole. */
bool child_is_ready(const struct child *child);

/* It goes into logs and answers: no control characters. */
void text_make_printable(char *text);

/* "vm1/12.345" is a process of "vm1". */
bool name_is_of_vm(const char *name, const char *vm);

#endif
