/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/shared_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "simfabric/attach.h"
#include "simfabric/clients.h"
#include "simfabric/counters.h"
#include "simfabric/data_faults.h"
#include "simfabric/event_heap.h"
#include "simfabric/fault_points.h"
#include "simfabric/mad_faults.h"
#include "simfabric/mailbox.h"
#include "simfabric/messages.h"
#include "simfabric/perf_agent.h"
#include "simfabric/qpn_table.h"
#include "simfabric/topology.h"
#include "simfabric/traps.h"

#define FABRIC_MAGIC 0x6369726261466d53ull /* "SmFabric" */

enum { SECTION_ALIGNMENT = 4096 };

static const struct section_kind kinds[SECTION_COUNT] = {
        [SECTION_CLIENTS] = {.name = "clients", .size = clients_size},
        [SECTION_NODES] = {.name = "nodes", .size = topology_nodes_size, .init = topology_init},
        [SECTION_PORTS] = {.name = "ports", .size = topology_ports_size},
        [SECTION_SWITCHES] = {.name = "switches", .size = topology_switches_size},
        [SECTION_LFTS] = {.name = "LFTs", .size = topology_lfts_size},
        [SECTION_MFTS] = {.name = "MFTs", .size = topology_mfts_size},
        [SECTION_SL_TO_VL] = {.name = "SL to VL tables", .size = topology_sl_to_vl_size},
        [SECTION_ALIAS_GUIDS] = {.name = "alias GUIDs", .size = topology_alias_guids_size},
        [SECTION_SLOTS] = {.name = "VFs", .size = slots_size, .init = slots_init},
        [SECTION_ATTACH] = {.name = "VMs", .size = attach_size, .client_gone = attach_client_gone},
        [SECTION_QPNS] = {.name = "QPNs", .size = qpn_table_size, .recover = qpn_table_recover},
        [SECTION_PACKET_RINGS] = {.name = "packet rings",
                .size = packet_rings_size,
                .client_gone = packet_rings_client_gone},
        [SECTION_DATA_FAULTS] = {.name = "data faults",
                .size = data_faults_size,
                .init = data_faults_init},
        [SECTION_COUNTERS] = {.name = "counters", .size = counters_size},
        [SECTION_PORT_COUNTERS] = {.name = "port counters", .size = port_counters_size},
        [SECTION_PERF_BASES] = {.name = "PerfMgt bases", .size = perf_bases_size},
        [SECTION_MAD_FAULTS] = {.name = "MAD faults", .size = mad_faults_size},
        [SECTION_TRAPS] = {.name = "traps", .size = traps_size},
        [SECTION_MESSAGES] = {.name = "messages", .size = messages_size},
        [SECTION_EVENTS] = {.name = "events", .size = events_size, .recover = events_recover},
        [SECTION_MAILBOXES] = {.name = "mailboxes",
                .size = mailboxes_size,
                .recover = mailboxes_recover,
                .client_gone = mailboxes_client_gone},
};

const struct section_kind *fabric_section_kind(enum section section)
{
	return &kinds[section];
}

void *fabric_section(const struct fabric *fabric, enum section section)
{
	return (char *)fabric->head + fabric->head->section_offset[section];
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + SECTION_ALIGNMENT - 1) / SECTION_ALIGNMENT * SECTION_ALIGNMENT;
}

/* Where each section begins, and behind the last one the size of the file. */
static uint64_t lay_out(const struct net *net, uint64_t offset[SECTION_COUNT])
{
	uint64_t at = round_up(sizeof(struct fabric_head));

	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		offset[i] = at;
		at += round_up(kinds[i].size(net));
	}
	return at;
}

static void init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

static int fill(int fd, const struct net *net)
{
	struct fabric fabric = {.fd = fd, .client = NO_INDEX};
	uint64_t offset[SECTION_COUNT];

	fabric.size = lay_out(net, offset);
	if (ftruncate(fd, (off_t)fabric.size))
		return -errno;
	fabric.head =
	        mmap(NULL, fabric.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (fabric.head == MAP_FAILED)
		return -errno;
	fabric.head->version = FABRIC_VERSION;
	fabric.head->section_count = SECTION_COUNT;
	fabric.head->size = fabric.size;
	memcpy(fabric.head->section_offset, offset, sizeof(offset));
	init_lock(&fabric.head->lock);
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		if (kinds[i].init)
			kinds[i].init(&fabric, net);
	}
	fabric.head->magic = FABRIC_MAGIC;
	munmap(fabric.head, fabric.size);
	return 0;
}

static void side_folder(const char *path, char *folder, size_t bytes)
{
	snprintf(folder, bytes, "%s.d", path);
}

void fabric_side_path(
        const struct fabric *fabric, const char *kind, uint32_t number, char *path, size_t bytes)
{
	snprintf(path, bytes, "%s.d/%s.%u", fabric->path, kind, number);
}

int fabric_create(const char *path, const struct net *net)
{
	char draft[PATH_MAX], folder[PATH_MAX];
	CLEANUP_CLOSE int fd = -1;
	int r;

	snprintf(draft, sizeof(draft), "%s.new.%d", path, (int)getpid());
	fd = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fill(fd, net);
	if (!r && link(draft, path))
		r = -errno;
	unlink(draft);
	if (r)
		return r;
	side_folder(path, folder, sizeof(folder));
	if (mkdir(folder, 0700) && errno != EEXIST)
		r = -errno;
	return r;
}

static bool is_fabric(const struct fabric *fabric)
{
	const struct fabric_head *head = fabric->head;

	return head->magic == FABRIC_MAGIC && head->version == FABRIC_VERSION &&
	       head->section_count == SECTION_COUNT && head->size == fabric->size;
}

static int map(struct fabric *fabric, int fd)
{
	struct stat file;

	if (fstat(fd, &file))
		return -errno;
	if (!S_ISREG(file.st_mode) || (size_t)file.st_size < sizeof(*fabric->head))
		return -EINVAL;
	fabric->size = file.st_size;
	fabric->head =
	        mmap(NULL, fabric->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (fabric->head == MAP_FAILED)
		return -errno;
	if (is_fabric(fabric))
		return 0;
	munmap(fabric->head, fabric->size);
	return -EINVAL;
}

/*
 * The mapping keeps its open file description as long as it stands, in forked children too; the
 * client's lock must not hang on that, so it gets a description of its own.
 */
static int open_and_map(const char *path, struct fabric *fabric)
{
	CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	int r = fd < 0 ? -errno : map(fabric, fd);

	if (r)
		return r;
	fabric->fd = open(path, O_RDWR | O_CLOEXEC);
	if (fabric->fd >= 0)
		return 0;
	r = -errno;
	munmap(fabric->head, fabric->size);
	return r;
}

int fabric_open(const char *path, struct fabric **fabric)
{
	const char *die_at = getenv("SIMFABRIC_DIE_AT");
	struct fabric *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	if (!f)
		return r;
	f->client = NO_INDEX;
	/* Clients change their working directory; the side folder's path must not depend on it. */
	r = realpath(path, f->path) ? 0 : -errno;
	if (!r && die_at && *die_at && !fault_point_armed)
		r = fault_point_arm(die_at);
	if (!r)
		r = open_and_map(path, f);
	if (r) {
		free(f);
		return r;
	}
	topology_bind(f);
	*fabric = f;
	return 0;
}

void fabric_close(struct fabric *fabric)
{
	if (!fabric)
		return;
	client_leave(fabric);
	mailbox_forget_wakes(fabric);
	munmap(fabric->head, fabric->size);
	if (fabric->fd >= 0)
		close(fabric->fd);
	free(fabric);
}

static void remove_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
}

/* Of any version, so that one can be rid of it. */
static int check_magic(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t magic = 0;

	if (fd < 0)
		return -errno;
	return pread(fd, &magic, sizeof(magic), offsetof(struct fabric_head, magic)) ==
	                               sizeof(magic) &&
	                       magic == FABRIC_MAGIC
	               ? 0
	               : -EINVAL;
}

int fabric_destroy(const char *path)
{
	char folder[PATH_MAX];
	int r = check_magic(path);

	if (r)
		return r;
	side_folder(path, folder, sizeof(folder));
	remove_folder(folder);
	return unlink(path) ? -errno : 0;
}

/* The holder's cancellation state, given back at unlock. */
static __thread int cancel_state;

static void apply_redo(struct fabric *fabric)
{
	struct fabric_head *head = fabric->head;

	for (uint64_t i = 0; i < head->redo_count; i++) {
		uint64_t *word = (uint64_t *)((char *)head + head->redo[i].offset);

		__atomic_store_n(word, head->redo[i].value, __ATOMIC_RELEASE);
		fault_point(redo_half_applied);
	}
	fault_point(redo_applied);
	__atomic_store_n(&head->redo_count, 0, __ATOMIC_RELEASE);
}

static void recover(struct fabric *fabric)
{
	fabric->head->recoveries++;
	apply_redo(fabric);
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		if (kinds[i].recover)
			kinds[i].recover(fabric);
	}
	clients_reap(fabric);
	pthread_mutex_consistent(&fabric->head->lock);
}

void fabric_lock(struct fabric *fabric)
{
	int state, r;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	r = pthread_mutex_lock(&fabric->head->lock);
	cancel_state = state;
	fabric->redo_staged = 0;
	if (r == EOWNERDEAD)
		recover(fabric);
	fault_point(lock_taken);
}

void fabric_unlock(struct fabric *fabric)
{
	int state = cancel_state;

	pthread_mutex_unlock(&fabric->head->lock);
	pthread_setcancelstate(state, NULL);
}

void redo_put(struct fabric *fabric, void *at, const void *value, size_t bytes)
{
	struct fabric_head *head = fabric->head;
	const uint64_t *old = at;

	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
		uint64_t word;

		memcpy(&word, (const char *)value + i * sizeof(word), sizeof(word));
		if (word == old[i])
			continue;
		if (fabric->redo_staged == REDO_MAX_WORDS)
			abort(); /* a room that changes more at once has a bug */
		head->redo[fabric->redo_staged].offset = (const char *)&old[i] - (char *)head;
		head->redo[fabric->redo_staged++].value = word;
	}
	fault_point(redo_staged);
}

void redo_commit(struct fabric *fabric)
{
	__atomic_store_n(&fabric->head->redo_count, fabric->redo_staged, __ATOMIC_RELEASE);
	fabric->redo_staged = 0;
	fault_point(redo_committed);
	apply_redo(fabric);
}
