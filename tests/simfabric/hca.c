/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "simfabric/clients.h"
#include "simfabric/hca_multicast.h"
#include "simfabric/hca_numbers.h"
#include "simfabric/hca_port.h"
#include "simfabric/hca_process.h"
#include "simfabric/hca_wire.h"
#include "simfabric/process.h"
#include "simfabric/qpn_table.h"

/* Taken before the HCA's lock, which is dropped while the thread ends. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

struct hca_process hca_process = {.lock = PTHREAD_MUTEX_INITIALIZER, .due_ns = UINT64_MAX};

unsigned hca_epoch(void)
{
	return hca_process.epoch;
}

/* ---- fork ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&opening);
	pthread_mutex_lock(&hca_process.lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&hca_process.lock);
	pthread_mutex_unlock(&opening);
}

/* The ring, the numbers and the thread are the parent's; the child begins with nothing. */
static void in_child(void)
{
	unsigned epoch = hca_process.epoch + 1;

	hca_wire_clear();
	hca_thread_forget();
	memset(&hca_process, 0, sizeof(hca_process));
	pthread_mutex_init(&hca_process.lock, NULL);
	pthread_mutex_init(&opening, NULL);
	hca_process.epoch = epoch;
	hca_process.due_ns = UINT64_MAX;
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

/* ---- surprise detach ---- */

static void take_away(struct hca *hca)
{
	hca->is_gone = true;
	for (struct hca_queue_pair *qp = hca->queue_pairs; qp; qp = qp->next_of_hca) {
		hca_detach_all_groups(qp);
		hca_unlink_queue_pair(qp);
		qpn_give_back(hca->fabric, hca->place.port, qp->engine.qpn);
		if (hca->faults->loss_flushes)
			queue_pair_fail(&qp->engine);
	}
	if (hca->gone)
		hca->gone(hca);
}

void hca_lock(void)
{
	pthread_mutex_lock(&hca_process.lock);
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		if (!hca->is_gone && attach_state(hca->fabric, &hca->place) == ATTACH_GONE)
			take_away(hca);
	}
}

/* Once for each event, however often it has happened since: a driver merges them as well. */
static void watch_port(struct hca *hca)
{
	for (int i = 0; i < PORT_EVENT_COUNT; i++) {
		uint64_t count = __atomic_load_n(&hca->port->events[i], __ATOMIC_RELAXED);

		if (count == hca->events_told[i])
			continue;
		hca->events_told[i] = count;
		if (hca->port_event)
			hca->port_event(hca, (enum port_event)i);
	}
}

void hca_watch_ports(void)
{
	for (struct hca *hca = hca_process.hcas; hca; hca = hca->next) {
		if (!hca->is_gone)
			watch_port(hca);
	}
}

void hca_unlock(void)
{
	pthread_mutex_unlock(&hca_process.lock);
}

/* ---- opening ---- */

static bool is_at(const struct hca *hca, const struct hca_place *place)
{
	return !hca->is_gone && hca->place.port == place->port && hca->place.slot == place->slot &&
	       hca->place.generation == place->generation;
}

static struct hca *find(const struct hca_place *place)
{
	struct hca *hca = hca_process.hcas;

	while (hca && !is_at(hca, place))
		hca = hca->next;
	return hca;
}

/* From one slot to the next they stand elsewhere; 0 is where software expects them. */
static unsigned table_shift(const struct hca *hca)
{
	if (!hca->faults->shifted_tables)
		return 0;
	return 1 + hca->place.port % (HCA_GIDS - 1);
}

static int create(const struct hca_place *place, struct hca **created)
{
	struct hca *hca = calloc(1, sizeof(*hca));

	if (!hca)
		return -ENOMEM;
	hca->host = hca_host_calls;
	hca->fabric = hca_process.fabric;
	hca->place = *place;
	hca->port = &hca->fabric->ports[place->port];
	hca->faults = data_faults_of(hca->fabric);
	hca->table_shift = table_shift(hca);
	hca->is_ethernet = hca->faults->ethernet;
	hca_clock_begin(hca);
	memcpy(hca->events_told, hca->port->events, sizeof(hca->events_told));
	hca->host.keys = memory_keys_create(hca_number_seed(hca), hca_number_twist(hca));
	if (!hca->host.keys) {
		free(hca);
		return -ENOMEM;
	}
	hca->next = hca_process.hcas;
	hca_process.hcas = hca;
	*created = hca;
	return 0;
}

static void destroy(struct hca *hca)
{
	struct hca **at = &hca_process.hcas;

	while (*at && *at != hca)
		at = &(*at)->next;
	if (*at)
		*at = hca->next;
	memory_keys_destroy(hca->host.keys);
	free(hca);
}

/* The first device of the process: a ring to be reached by and a thread that serves it. */
static int begin(void)
{
	static pthread_once_t forks_watched = PTHREAD_ONCE_INIT;
	int err;

	if (hca_process.ring)
		return 0;
	pthread_once(&forks_watched, watch_forks);
	err = client_join(hca_process.fabric);
	if (!err)
		err = packet_ring_take(hca_process.fabric, &hca_process.ring_index);
	if (err)
		return err;
	hca_process.ring = packet_ring_at(hca_process.fabric, hca_process.ring_index);
	err = hca_thread_start();
	if (err) {
		packet_ring_give_back(hca_process.fabric, hca_process.ring_index);
		hca_process.ring = NULL;
	}
	return err;
}

static void end(void)
{
	hca_thread_stop();
	hca_wire_clear();
	packet_ring_give_back(hca_process.fabric, hca_process.ring_index);
	hca_process.ring = NULL;
}

static int open_place(const struct hca_place *place, struct hca **opened)
{
	struct hca *hca;
	int err = attach_hold(hca_process.fabric, place);

	if (err)
		return err;
	hca = find(place);
	err = hca ? 0 : create(place, &hca);
	if (err) {
		attach_let_go(hca_process.fabric, place);
		return err;
	}
	hca->contexts++;
	*opened = hca;
	return 0;
}

int hca_open(const char *device_name, struct hca **hca)
{
	struct hca_place place;
	struct fabric *fabric;
	int err = process_fabric(&fabric);

	if (!err)
		err = attach_named(fabric, device_name, &place);
	if (err)
		return err;
	pthread_mutex_lock(&opening);
	hca_lock();
	hca_process.fabric = fabric;
	err = begin();
	if (!err)
		err = open_place(&place, hca);
	if (err && hca_process.ring && !hca_process.hcas)
		end();
	hca_unlock();
	pthread_mutex_unlock(&opening);
	return err;
}

void hca_close(struct hca *hca)
{
	struct fabric *fabric = hca->fabric;
	struct hca_place place = hca->place;

	pthread_mutex_lock(&opening);
	hca_lock();
	if (!--hca->contexts) {
		destroy(hca);
		if (!hca_process.hcas)
			end();
	}
	hca_unlock();
	pthread_mutex_unlock(&opening);
	attach_let_go(fabric, &place);
}
