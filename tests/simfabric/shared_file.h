/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The fabric: one file that every client maps, made of sections, guarded by one lock that survives
 * the death of its holder. Nothing in it is a pointer; rooms refer to each other by index.
 *
 * Who owns what: a section belongs to the room that registers it in the table of shared_file.c;
 * that room alone writes it. All of it is written under fabric_lock, except what a header says is
 * read or written without. struct fabric is the process's own handle and may be used by all its
 * threads.
 *
 * Dying inside the lock: a change of one aligned word is whole by itself. Changes that belong
 * together are put into the redo log and committed; the next holder of the lock replays what was
 * committed, then lets each room mend its lists (section_kind.recover).
 */
#ifndef SIMFABRIC_SHARED_FILE_H
#define SIMFABRIC_SHARED_FILE_H

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct net;
struct fabric;
struct wake_fds;

enum {
	FABRIC_VERSION = 6,
	NO_INDEX = 0xffffffff,
	REDO_MAX_WORDS = 128,
};

/* In the order of their recovery. */
enum section {
	SECTION_CLIENTS,
	SECTION_NODES,
	SECTION_PORTS,
	SECTION_SWITCHES,
	SECTION_LFTS,
	SECTION_MFTS,
	SECTION_SL_TO_VL,
	SECTION_ALIAS_GUIDS,
	SECTION_SLOTS,
	SECTION_ATTACH,
	SECTION_QPNS,
	SECTION_PACKET_RINGS,
	SECTION_DATA_FAULTS,
	SECTION_COUNTERS,
	SECTION_PORT_COUNTERS,
	SECTION_PERF_BASES,
	SECTION_MAD_FAULTS,
	SECTION_TRAPS,
	SECTION_MESSAGES,
	SECTION_EVENTS,
	SECTION_MAILBOXES,
	SECTION_COUNT,
};

struct section_kind {
	const char *name;
	size_t (*size)(const struct net *net);
	/* Under the lock of a file that nobody else knows yet; all zero before. NULL: nothing to
	 * do. */
	void (*init)(struct fabric *fabric, const struct net *net);
	/* Under the lock, after its holder died and the redo log was replayed. NULL: nothing to
	 * mend. */
	void (*recover)(struct fabric *fabric);
	/* Under the lock, when a client has left or was found dead: give back what it held. Done
	   again if the one who does it dies. NULL: clients hold nothing. */
	void (*client_gone)(struct fabric *fabric, uint32_t client);
};

struct redo_word {
	uint64_t offset;
	uint64_t value;
};

struct fabric_head {
	uint64_t magic; /* written last, so a half-made file is not taken for a fabric */
	uint32_t version;
	uint32_t section_count;
	uint64_t size;
	uint64_t section_offset[SECTION_COUNT];
	pthread_mutex_t lock;
	uint64_t recoveries; /* how often a holder of the lock died in it */
	uint64_t redo_count; /* committed and perhaps not applied yet */
	struct redo_word redo[REDO_MAX_WORDS];
};

struct fabric {
	struct fabric_head *head;
	size_t size;
	int fd;          /* for the client's file lock; -1 in a forked child */
	uint32_t client; /* row in the table of clients, by client_join; NO_INDEX: looks on only */
	uint32_t redo_staged;
	struct wake_fds *wakes; /* mailbox.c's */
	char path[PATH_MAX];
	/* Sections that most rooms read; the others by fabric_section. */
	struct node *nodes;
	struct port *ports;
	struct fabric_switch *switches;
};

/*
 * Make the file at @path from a topology. -EEXIST: there is one already. The file appears whole or
 * not at all. -errno of the file system otherwise.
 */
int fabric_create(const char *path, const struct net *net);

/* Map the fabric at @path. -EINVAL: the file is no fabric of this version. */
int fabric_open(const char *path, struct fabric **fabric);
void fabric_close(struct fabric *fabric);

/*
 * Remove the file and what clients left beside it (its .d folder). Processes that have it mapped
 * keep it. -EINVAL: no fabric, of whichever version.
 */
int fabric_destroy(const char *path);

/* Never nested. The holder is not cancelled inside. */
void fabric_lock(struct fabric *fabric);
void fabric_unlock(struct fabric *fabric);

void *fabric_section(const struct fabric *fabric, enum section section);
const struct section_kind *fabric_section_kind(enum section section);

/*
 * Collect a change of @bytes at @at (in the file, both multiples of 8), then make all that was
 * collected visible: a client killed between leaves all or nothing. Under the lock.
 */
void redo_put(struct fabric *fabric, void *at, const void *value, size_t bytes);
void redo_commit(struct fabric *fabric);

/* Where clients leave FIFOs: "<file>.d/<kind>.<number>". */
void fabric_side_path(
        const struct fabric *fabric, const char *kind, uint32_t number, char *path, size_t bytes);

#endif
