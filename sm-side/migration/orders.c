/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/orders.h"

#include <errno.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"
#include "sm-side/migration/needs.h"

enum { US_PER_MS = 1000 };

struct step_row {
	enum migration_action action;
	Tether__Step step;
	bool to_peers;
};

static const struct step_row steps[] = {
        {ACTION_PREPARE, TETHER__STEP__STEP_PREPARE, true},
        {ACTION_STOP, TETHER__STEP__STEP_STOP, true},
        {ACTION_SETTLE, TETHER__STEP__STEP_SETTLE, true},
        {ACTION_ABORT, TETHER__STEP__STEP_ABORT, true},
        {ACTION_RELEASE, TETHER__STEP__STEP_RELEASE, true},
        {ACTION_ATTACH, TETHER__STEP__STEP_ATTACH, false},
        {ACTION_RECONNECT, TETHER__STEP__STEP_RECONNECT, true},
        {ACTION_RESUME, TETHER__STEP__STEP_RESUME, true},
        {ACTION_ERROR, TETHER__STEP__STEP_ERROR, true},
};

enum side { SOURCE, DESTINATION };

struct host_row {
	enum migration_action action;
	Tether__Step step;
	Tether__HostAction order;
	enum side host;
	Tether__SlotLink link; /* of a dynamic slot */
};

#define MOVE_STEP TETHER__STEP__STEP_MOVE
#define SET_GUIDS TETHER__HOST_ACTION__HOST_SET_GUIDS
#define LINK_KEEP TETHER__SLOT_LINK__LINK_KEEP
#define LINK_UP   TETHER__SLOT_LINK__LINK_UP
#define LINK_DOWN TETHER__SLOT_LINK__LINK_DOWN

static const struct host_row hosts[] = {
        {ACTION_PREPARE, TETHER__STEP__STEP_PREPARE, TETHER__HOST_ACTION__HOST_CHECK, DESTINATION,
                LINK_KEEP},
        {ACTION_DETACH, MOVE_STEP, TETHER__HOST_ACTION__HOST_DETACH, SOURCE, LINK_KEEP},
        {ACTION_MOVE_MEMORY, MOVE_STEP, TETHER__HOST_ACTION__HOST_MOVE, SOURCE, LINK_KEEP},
        {ACTION_MOVE_MEMORY_BACK, MOVE_STEP, TETHER__HOST_ACTION__HOST_MOVE, DESTINATION,
                LINK_KEEP},
        {ACTION_LOOK_SOURCE, MOVE_STEP, TETHER__HOST_ACTION__HOST_NOTHING, SOURCE, LINK_KEEP},
        {ACTION_LOOK_DESTINATION, MOVE_STEP, TETHER__HOST_ACTION__HOST_NOTHING, DESTINATION,
                LINK_KEEP},
        {ACTION_NAME_DESTINATION, MOVE_STEP, SET_GUIDS, DESTINATION, LINK_KEEP},
        {ACTION_NAME_SOURCE, MOVE_STEP, SET_GUIDS, SOURCE, LINK_DOWN},
        {ACTION_LINK_DESTINATION, MOVE_STEP, SET_GUIDS, DESTINATION, LINK_UP},
        {ACTION_NAME_SOURCE_BACK, MOVE_STEP, SET_GUIDS, SOURCE, LINK_KEEP},
        {ACTION_NAME_DESTINATION_BACK, MOVE_STEP, SET_GUIDS, DESTINATION, LINK_DOWN},
        {ACTION_LINK_SOURCE_BACK, MOVE_STEP, SET_GUIDS, SOURCE, LINK_UP},
        {ACTION_ATTACH_VF, MOVE_STEP, TETHER__HOST_ACTION__HOST_ATTACH, DESTINATION, LINK_KEEP},
        {ACTION_GIVE_BACK, MOVE_STEP, TETHER__HOST_ACTION__HOST_GIVE_BACK, SOURCE, LINK_KEEP},
};

static uint32_t left_ms(uint64_t until_us, uint64_t now_us)
{
	return until_us > now_us ? (uint32_t)((until_us - now_us) / US_PER_MS) : 0;
}

/* A step that comes again has what is left of the state's time. Of the time of several orders none
 * has more than its own. */
static uint32_t deadline_ms(const struct migration *m, uint64_t now_us)
{
	uint32_t left = left_ms(m->timer_us, now_us);
	uint32_t own = migration_state_deadline_ms(m->state, m->deadlines);

	if (own < left)
		return own;
	return left ? left : 1;
}

static void address_fill(const struct address *address, Tether__Address *wire)
{
	tether__address__init(wire);
	wire->lid = address->lid;
	wire->gid.data = (uint8_t *)address->gid;
	wire->gid.len = sizeof(address->gid);
}

/* Whoever has taken part is told the end, whatever it speaks by now. */
static bool asks(Tether__Step step)
{
	return step == TETHER__STEP__STEP_PREPARE || step == TETHER__STEP__STEP_STOP ||
	       step == TETHER__STEP__STEP_SETTLE;
}

static void event_fill(struct order *order, struct migration *m, Tether__Step step, uint64_t now_us)
{
	Tether__Event *event = &order->event;

	tether__event__init(event);
	address_fill(&m->intent.address, &order->address);
	event->migration = m->intent.id;
	event->epoch = m->intent.epoch;
	event->shared_port = m->intent.shared_port;
	/* Of a shared port the root knows them. */
	event->n_known_lids = migration_other_lids(m);
	event->known_lids = m->other_lids;
	event->step = step;
	event->sequence = ++m->sequence;
	event->deadline_ms = deadline_ms(m, now_us);
	event->vm = m->intent.vm;
	event->address = &order->address;
	event->force = m->intent.force;
	if (asks(step) && !m->committed)
		event->needs = needs_of(&m->intent);
	event->overall_ms =
	        m->overall_us ? left_ms(m->overall_us, now_us) : m->deadlines->overall_ms;
}

/* What was sent before the stop shortens a wait and is no more: it is left out where it does not
 * fit. */
static void sent_fill(Tether__Event *event, Tether__EvidenceRows *sent)
{
	event->evidence = sent;
	if (tether__event__get_packed_size(event) + FRAME_AROUND_BYTES > FRAME_MAX_BYTES)
		event->evidence = NULL;
}

/* Without them a QP goes on with the path it had. */
static void paths_fill(Tether__Event *event, Tether__PathRows *paths)
{
	size_t count;

	if (path_rows_count(paths, &count) || !count)
		return;
	event->paths = paths;
	if (tether__event__get_packed_size(event) + FRAME_AROUND_BYTES > FRAME_MAX_BYTES)
		event->paths = NULL;
}

/* Where RECONNECT finds it. */
static const struct place *place_of_vm(const struct migration *m)
{
	return migration_phase(m->state) == PHASE_FORWARD ? &m->intent.destination
	                                                  : &m->intent.source;
}

static void tables_fill(struct order *order, struct migration *m)
{
	Tether__Event *event = &order->event;

	/* Who knows the VM's LID for another's knows by them what it has to do with this. */
	if (m->intent.shared_port && (event->step == TETHER__STEP__STEP_STOP ||
	                                     event->step == TETHER__STEP__STEP_SETTLE))
		event->qps = &m->testimony.qps;
	if (event->step == TETHER__STEP__STEP_SETTLE)
		sent_fill(event, &m->testimony.evidence);
	if (event->step == TETHER__STEP__STEP_RELEASE ||
	        event->step == TETHER__STEP__STEP_RECONNECT)
		event->evidence = &m->testimony.evidence;
	if (event->step != TETHER__STEP__STEP_RECONNECT)
		return;
	event->qps = &m->testimony.qps;
	event->keys = &m->testimony.keys;
	event->gids = &m->testimony.gids;
	address_fill(&m->intent.address, &order->new_address);
	if (m->intent.shared_port)
		order->new_address.lid = place_of_vm(m)->lid;
	event->new_address = &order->new_address;
	paths_fill(event, &m->testimony.paths);
}

/* NULL: it is no step. */
static const struct step_row *step_of(enum migration_action action)
{
	const struct step_row *row = steps;

	while (row < steps + ARRAY_SIZE(steps) && row->action != action)
		row++;
	return row < steps + ARRAY_SIZE(steps) ? row : NULL;
}

/* The VM's come first. */
size_t order_expected_count(const struct migration *m, enum migration_action action)
{
	const struct step_row *row = step_of(action);

	if (!row || row->step == TETHER__STEP__STEP_PREPARE)
		return 0;
	return row->to_peers ? m->testimony.process_count : m->testimony.vm_process_count;
}

int order_fill_step(
        struct order *order, struct migration *m, enum migration_action action, uint64_t now_us)
{
	const struct step_row *row = step_of(action);

	if (!row)
		return -ENOENT;
	event_fill(order, m, row->step, now_us);
	order->event.to_vm = true;
	order->event.to_peers = row->to_peers;
	if (row->step == TETHER__STEP__STEP_STOP)
		order->event.lease_ms = m->deadlines->lease_ms;
	order->event.expected = m->testimony.processes;
	order->event.n_expected = order_expected_count(m, action);
	tables_fill(order, m);
	return 0;
}

void order_fill_moved(struct order *order, struct migration *m, uint64_t now_us)
{
	event_fill(order, m, TETHER__STEP__STEP_MOVED, now_us);
	order->event.deadline_ms = m->deadlines->overall_ms;
	order->event.to_peers = true;
	address_fill(&m->intent.address, &order->new_address);
	if (m->intent.shared_port)
		order->new_address.lid = m->intent.destination.lid;
	order->event.new_address = &order->new_address;
}

/* Whose GUIDs go where. */
static const struct identity *identity_for(const struct moving_vf *vf, enum migration_action action)
{
	switch (action) {
	case ACTION_NAME_DESTINATION:
	case ACTION_LINK_DESTINATION:
	case ACTION_NAME_SOURCE_BACK:
	case ACTION_LINK_SOURCE_BACK:
		return &vf->identity;
	case ACTION_NAME_SOURCE:
	case ACTION_NAME_DESTINATION_BACK:
		return &vf->other;
	default:
		return NULL;
	}
}

static bool brings_device(Tether__HostAction order)
{
	return order == TETHER__HOST_ACTION__HOST_ATTACH ||
	       order == TETHER__HOST_ACTION__HOST_GIVE_BACK;
}

static const struct host_row taking_back = {ACTION_NAME_DESTINATION_BACK, MOVE_STEP,
        TETHER__HOST_ACTION__HOST_DETACH, DESTINATION, LINK_KEEP};

/* NULL: it is nothing that a host is asked. */
static const struct host_row *host_row_of(const struct migration *m, enum migration_action action)
{
	const struct host_row *row = hosts;

	if (action == ACTION_NAME_DESTINATION_BACK && migration_takes_back(m))
		return &taking_back;
	while (row < hosts + ARRAY_SIZE(hosts) && row->action != action)
		row++;
	return row < hosts + ARRAY_SIZE(hosts) ? row : NULL;
}

int order_fill_host(struct order *order, struct migration *m, enum migration_action action,
        const Tether__Attributes *attributes, uint64_t now_us)
{
	const struct host_row *row = host_row_of(m, action);
	struct moving_vf *vf = &m->intent.vfs[m->host_vf];
	const struct identity *identity = identity_for(vf, action);
	struct place *place, *other;

	if (!row)
		return -ENOENT;
	place = row->host == SOURCE ? &vf->source : &vf->destination;
	other = row->host == SOURCE ? &vf->destination : &vf->source;
	event_fill(order, m, row->step, now_us);
	tether__host_order__init(&order->host);
	order->event.order = &order->host;
	order->host.host = place->host;
	order->host.action = row->order;
	order->host.vm = m->intent.vm;
	order->host.slot = place->slot;
	order->host.peer_host = other->host;
	if (identity) {
		order->host.node_guid = identity->node_guid;
		order->host.port_guid = identity->port_guid;
	}
	if (m->intent.dynamic)
		order->host.link = row->link;
	order->host.resume_follows = brings_device(row->order) && !m->given_up;
	order->host.alone = m->given_up;
	if (row->order == TETHER__HOST_ACTION__HOST_CHECK && attributes) {
		order->attributes = *attributes;
		order->host.attributes = &order->attributes;
	}
	return 0;
}
