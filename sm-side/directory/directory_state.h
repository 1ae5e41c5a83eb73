/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the directory knows; shared by directory.c (hosts and their words), directory_word.c (what
 * is kept of a word), directory_rate.c (how often it may be another), directory_vms.c (whose a VM
 * is), directory_vm_places.c (what the SM says of it, and who is told where it is),
 * directory_slots.c (whose a slot's place and GUID are) and directory_record.c (what the journal
 * knows of that), and by nobody else.
 */
#ifndef TETHER_DIRECTORY_STATE_H
#define TETHER_DIRECTORY_STATE_H

#include "notifier/link/rate.h"
#include "sm-side/directory/directory.h"

struct directory_host {
	const char *name; /* first, as trees look for it */
	struct directory_host *next;
	bool here, is_stale, is_forgotten;
	uint64_t word;     /* counts them */
	struct rate words; /* how often they were others than before */
	Tether__Hello *said;
	struct directory_slot *slots;
	size_t disputed; /* slots of its word that are not believed */
	/* VMs that it has by the journal; its first word may drop them. */
	char **restored;
	size_t restored_count, restored_room;
};

/* A host has it by its latest word, or by the journal as long as it has said nothing. */
struct vm_claim {
	struct vm_claim *next;
	struct directory_host *host;
	uint64_t word; /* 0: by the journal */
	bool refused;
};

struct directory_vm {
	const char *name;
	struct directory_host *host, *next;  /* NULL: nobody */
	const struct directory_host *barred; /* the operator's word is against it; NULL: nobody */
	struct vm_claim *claims;             /* the first who said so first */
	bool moves;                          /* a change of ours is under way */
	bool is_owed, is_news;
	struct directory_vm *next_owed, *next_news;
	uint64_t port;
	bool located, shared_port;
	uint32_t *lids, *pkeys;
	size_t lid_count, pkey_count;
	char *lids_text, *pkeys_text; /* for the journal; NULL: none */
};

struct directory_slot {
	const struct directory_host *of; /* with the name, the tree's key */
	const char *name;
	struct directory_host *host;
	struct directory_slot *next; /* of the host */
	/* What is believed. */
	bool known;
	uint64_t switch_guid, port_guid;
	uint32_t switch_port;
	struct directory_slot *next_there, *next_shown; /* with the same place, the same GUID */
	uint64_t ours[2];                               /* may be shown in any case */
	uint64_t word;                                  /* the host's latest that had it */
	const struct directory_host *held_by;           /* NULL: its word is believed */
	enum directory_thing held;
	bool is_owed;
	struct directory_slot *next_owed;
};

/* All slots at one place, or that show one GUID. */
struct slot_key {
	uint64_t guid;
	uint32_t port;
	struct directory_slot *first;
};

struct directory {
	const struct directory_outputs *outputs;
	void *owner;
	/* Trees (tsearch(3)): by name; by host and name; by place and by GUID. */
	void *hosts, *vms, *slots, *places, *guids;
	struct directory_host *host_list;
	size_t stale; /* so many of them are */
	struct directory_vm *owed_vms, **owed_vms_end, *news, **news_end, *told;
	struct directory_slot *owed_slots, **owed_slots_end;
	bool slot_let_go; /* somebody may have been waiting for it */
	uint64_t refused[DIRECTORY_GUID + 1];
	uint64_t put_off;
};

/* directory.c */
struct directory_host *directory_host_find(const struct directory *directory, const char *name);
/* NULL: no memory. */
struct directory_host *directory_host_make(struct directory *directory, const char *name);
/* What is believed of its word may be something else than when it was asked for last. */
void directory_host_stale(struct directory *directory, struct directory_host *host, bool stale);
/* It has @vm by the journal. -ENOMEM */
int directory_host_restored(struct directory_host *host, const char *vm);
void directory_refuse(struct directory *directory, const struct directory_claim *claim);

/* directory_word.c */
/* A copy of a host's word without rows whose name has come before in it: they would be one thing by
 * the name, and another by what they say. The caller's; NULL: no memory. */
Tether__Hello *directory_word_copy(struct directory *directory, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count);

/* directory_vms.c */
struct directory_vm *directory_vm_find(const struct directory *directory, const char *name);
struct directory_vm *directory_vm_make(struct directory *directory, const char *name);
/* By the journal. -ENOMEM */
int directory_vm_put(
        struct directory *directory, struct directory_vm *vm, struct directory_host *host);
/* Who has it, or will; "": nobody. */
const char *directory_host_of_vm(const struct directory_vm *vm);
/* @host's latest word has it. -ENOMEM */
int directory_vm_claimed(
        struct directory *directory, struct directory_host *host, const char *name);
/* Its latest word may not have it any more; the one before had it. */
void directory_vm_unclaimed(
        struct directory *directory, struct directory_host *host, const char *name);
/* Nothing needs it any more, perhaps: it may be freed. */
void directory_vm_tidy(struct directory *directory, struct directory_vm *vm);
void directory_vm_free(void *vm);
/* @host will not come back. -EBUSY: one of its VMs moves, and nothing has changed; -ENOMEM: the
 * same. */
int directory_vms_forget(struct directory *directory, struct directory_host *host);

/* The journal does not know yet what has changed. */
void directory_vm_owe(struct directory *directory, struct directory_vm *vm);

/* directory_vm_places.c */
/* What the SM said of it; by the journal, too. -ENOMEM */
int directory_vm_locate(
        struct directory *directory, struct directory_vm *vm, const struct directory_place *place);
/* What has changed is to be told by directory_news. */
void directory_vm_make_news(struct directory *directory, struct directory_vm *vm);

/* directory_slots.c */
struct directory_slot *directory_slot_find(
        const struct directory *directory, const struct directory_host *host, const char *name);
struct directory_slot *directory_slot_make(
        struct directory *directory, struct directory_host *host, const char *name);
/* It is there and shows that. -ENOMEM */
int directory_slot_put(struct directory *directory, struct directory_slot *slot,
        uint64_t switch_guid, uint32_t switch_port, uint64_t port_guid);
/* @host's latest word. -ENOMEM */
int directory_slots_take(struct directory *directory, struct directory_host *host);
/* All of @host's. */
void directory_slots_forget(struct directory *directory, struct directory_host *host);
void directory_slot_tidy(struct directory *directory, struct directory_slot *slot);
void directory_slot_free(void *slot);

#endif
